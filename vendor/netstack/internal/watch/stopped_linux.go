package watch

import (
	"fmt"
	"os"
	"strings"
)

// stopped tells whether a process is stopped, by a signal or a debugger: the state in proc_pid_stat(5).
func stopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// The field before is a name in parentheses that may hold anything.
	after := string(stat[strings.LastIndexByte(string(stat), ')')+1:])
	return strings.HasPrefix(after, " T") || strings.HasPrefix(after, " t")
}

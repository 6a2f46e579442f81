package machine

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"sbx.dev/agent/internal/session"
)

// Use is what "usage" answers.
type Use struct {
	// Load has the averages over 1, 5 and 15 minutes (proc_loadavg(5)).
	Load [3]float64 `json:"load"`
	// TotalBytes and AvailableBytes are the kernel's MemTotal and MemAvailable (proc_meminfo(5)).
	TotalBytes     uint64 `json:"totalBytes"`
	AvailableBytes uint64 `json:"availableBytes"`
	// Processes are all that there are, the agent and the kernel's threads among them.
	Processes int `json:"processes"`
}

// Usage is the method "usage".
func Usage(*session.Call) (any, error) {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil, err
	}
	memory, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return nil, err
	}
	var use Use
	if _, err := fmt.Sscan(string(load), &use.Load[0], &use.Load[1], &use.Load[2]); err != nil {
		return nil, err
	}
	use.TotalBytes = memoryField(string(memory), "MemTotal")
	use.AvailableBytes = memoryField(string(memory), "MemAvailable")
	use.Processes, err = countProcesses("/proc")
	return use, err
}

// memoryField reads a line like "MemTotal:  1006404 kB"; zero when there is none.
func memoryField(meminfo, name string) uint64 {
	for line := range strings.Lines(meminfo) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != name+":" {
			continue
		}
		kibibytes, _ := strconv.ParseUint(fields[1], 10, 54)
		return kibibytes << 10
	}
	return 0
}

func countProcesses(proc string) (int, error) {
	directory, err := os.Open(proc)
	if err != nil {
		return 0, err
	}
	defer directory.Close()
	names, err := directory.Readdirnames(-1)
	count := 0
	for _, name := range names {
		if strings.Trim(name, "0123456789") == "" {
			count++
		}
	}
	return count, err
}

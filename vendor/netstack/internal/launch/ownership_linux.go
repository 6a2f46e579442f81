package launch

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ignoreCalls installs a filter, for this thread and what it executes, under which the calls succeed
// and do nothing. It needs no_new_privs. Changing a file's owner without CAP_CHOWN could only fail, and
// a guest's tar or cp, which runs as root there, would take that for a broken archive. A file daemon
// that would become the guest's user for each request makes files as the caller instead.
func ignoreCalls(numbers []uint32) error {
	// A foreign calling convention is the other filter's to refuse.
	filter := []unix.SockFilter{load(offsetNumber)}
	for _, number := range numbers {
		filter = append(filter, jump(unix.BPF_JEQ, number, 0, 1), answer(unix.SECCOMP_RET_ERRNO))
	}
	filter = append(filter, answer(unix.SECCOMP_RET_ALLOW))
	return installFilter(filter)
}

// identityCalls change who a thread is.
var identityCalls = []uint32{unix.SYS_SETRESUID, unix.SYS_SETRESGID, unix.SYS_SETGROUPS}

// installFilter stacks a filter on those that are there: the strictest answer of all holds.
func installFilter(filter []unix.SockFilter) error {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return fmt.Errorf("cannot install a filter: %w", errno)
	}
	return nil
}

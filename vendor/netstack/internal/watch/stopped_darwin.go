package watch

import "golang.org/x/sys/unix"

// stoppedState is SSTOP of <sys/proc.h>, by a signal or a debugger.
const stoppedState = 4

// stopped tells whether a process is stopped.
func stopped(pid int) bool {
	found, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	return err == nil && found.Proc.P_stat == stoppedState
}

package main

import "golang.org/x/sys/unix"

// init lets the process die with the one that started it. The death signal belongs to a thread, and what
// runs before main runs on the one that lives as long as the process does.
func init() {
	unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
}

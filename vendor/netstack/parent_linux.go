package main

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"sbx.dev/netstack/internal/watch"
)

// init lets the process die with the one that started it. The death signal belongs to a thread, and what
// runs before main runs on the one that lives as long as the process does. A watchdog that has to end what the
// kernel does not end with sbx would come too late for it.
func init() {
	// Only the watchdog's own word counts, not one of a program that another command becomes.
	if len(os.Args) > 2 && os.Args[1] == "watch" && slices.Contains(os.Args[2:], watch.Outlives) {
		return
	}
	unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
}

package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// init lets the process die with the one that started it. The death signal belongs to a thread, and what
// runs before main runs on the one that lives as long as the process does.
func init() {
	unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
}

// closeSockets closes inherited sockets from a descriptor up. One of them could be the other end of a
// channel of ours, which would then never end.
func closeSockets(first int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, entry := range entries {
		var stat unix.Stat_t
		fd, err := strconv.Atoi(entry.Name())
		if err == nil && fd >= first && unix.Fstat(fd, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFSOCK {
			unix.Close(fd)
		}
	}
}

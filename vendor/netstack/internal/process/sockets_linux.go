package process

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// CloseSockets closes inherited sockets from a descriptor up. One of them could be the other end of a
// channel of ours, which would then never end.
func CloseSockets(first int) {
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

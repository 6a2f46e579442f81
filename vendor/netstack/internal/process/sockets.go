package process

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// CloseSockets closes inherited sockets from a descriptor up. One of them could be the other end of a
// channel of ours, which would then never end.
func CloseSockets(first int) {
	for _, fd := range openFrom(first) {
		var stat unix.Stat_t
		if unix.Fstat(fd, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFSOCK {
			unix.Close(fd)
		}
	}
}

// CloseOnExec keeps descriptors from a program that takes this one's place.
func CloseOnExec(first int) {
	for _, fd := range openFrom(first) {
		unix.CloseOnExec(fd)
	}
}

// openFrom lists the open descriptors from one up, and perhaps that of the list itself, which is closed by now.
func openFrom(first int) []int {
	entries, err := os.ReadDir(openFiles)
	if err != nil {
		return nil
	}
	var found []int
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd >= first {
			found = append(found, fd)
		}
	}
	return found
}

package machine

import (
	"errors"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// reserve is a directory of a kept disk that the guest does not see, with room for the next start: without any, no
// layer can be mounted for writing, and whoever filled the disk could make no room on it any more.
const reserve = "reserve"

const (
	reservedFiles = 64
	reservedBytes = 32 << 10 // each
)

// releaseReserve gives the room to the start that needs it.
func releaseReserve() error {
	var free unix.Statfs_t
	if err := unix.Statfs(scratch, &free); err != nil {
		return err
	}
	if free.Bavail*uint64(free.Bsize) > reservedFiles*reservedBytes && free.Ffree > reservedFiles {
		return nil
	}
	return os.RemoveAll(path.Join(scratch, reserve))
}

// holdReserve takes what is left of it again. What the disk has no room for is missing, until there is some. Whatever
// else a guest planted in its places is removed.
func holdReserve(disk *os.Root) error {
	if held, err := disk.Lstat(reserve); err == nil && !held.IsDir() {
		if err := disk.Remove(reserve); err != nil {
			return err
		}
	}
	if err := disk.Mkdir(reserve, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return unlessFull(err)
	}
	for number := range reservedFiles {
		if err := hold(disk, path.Join(reserve, strconv.Itoa(number))); err != nil {
			return unlessFull(err)
		}
	}
	return nil
}

func hold(disk *os.Root, name string) error {
	if held, err := disk.Lstat(name); err == nil && held.Mode().IsRegular() && held.Size() == reservedBytes {
		return nil
	}
	if err := disk.RemoveAll(name); err != nil {
		return err
	}
	// Only a new file is opened: a pipe would be waited for, and a link may lead anywhere on the disk.
	file, err := disk.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(unix.Fallocate(int(file.Fd()), 0, 0, reservedBytes), file.Close())
}

func unlessFull(err error) error {
	if errors.Is(err, unix.ENOSPC) {
		return nil
	}
	return err
}

package machine

import (
	"os"

	"golang.org/x/sys/unix"
)

// mark stands on a kept disk whose root was once complete: from then on what a root has in the beginning is the
// guest's to change.
const mark = scratch + "/complete"

func isComplete() bool {
	_, err := os.Lstat(mark)
	return err == nil
}

// complete marks the root. The mark must not be on the disk before the root is, whenever the machine ends.
func complete() error {
	root, err := unix.Open(scratch, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	if err := unix.Syncfs(root); err != nil {
		return err
	}
	file, err := os.Create(mark)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}

// Package instance is an instance's directory, as far as the driver keeps something there.
package instance

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockName is the file that is locked while a guest runs, by the driver and by the sbx that has the
// guest: a lock is gone with the last of them, however it ends.
const lockName = "sbx.lock"

// patience is for a guest that was told to go a moment ago, and for who only looks.
const patience = 2 * time.Second

// Lock marks the instance as one that runs, until the file and all its copies are closed.
func Lock(directory string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(directory, lockName), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot mark the instance as running: %w", err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if err != unix.EWOULDBLOCK || time.Now().After(end) {
			break
		}
	}
	file.Close()
	return nil, fmt.Errorf("cannot start: the instance runs already; stop it with 'sbx lima stop %s'", filepath.Base(directory))
}

// Runs tells whether an instance is locked. Where it is not, it is for the moment of the look, which
// Lock's patience outlasts.
func Runs(directory string) bool {
	file, err := os.OpenFile(filepath.Join(directory, lockName), os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	return unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB) == unix.EWOULDBLOCK
}

package still

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// WriteBack has the kernel write back what it holds of the file system that a directory is open of, and of what is
// mounted at others. Nothing else is written: what a process serves waits for that process, which may stand still.
func WriteBack(limit time.Duration, open *os.File, mounts ...string) error {
	return inTime(limit, func() error {
		failed := syncAt(open)
		for _, at := range mounts {
			top, err := os.Open(at)
			if err != nil {
				continue // it was unmounted
			}
			failed = errors.Join(failed, syncAt(top))
			top.Close()
		}
		return failed
	})
}

func syncAt(directory *os.File) error {
	if err := unix.Syncfs(int(directory.Fd())); err != nil {
		return fmt.Errorf("write %s back: %w", directory.Name(), err)
	}
	return nil
}

// inTime waits no longer than that for what cannot be given up: it ends by itself, or never.
func inTime(limit time.Duration, step func() error) error {
	done := make(chan error, 1)
	go func() { done <- step() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return fmt.Errorf("it holds more than is written back in %v", limit)
	}
}

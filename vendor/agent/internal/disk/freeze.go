package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Requests of linux/fs.h, which x/sys has no names for.
const (
	freeze = 0xc0045877 // FIFREEZE, _IOWR('X', 119, int)
	thaw   = 0xc0045878 // FITHAW, _IOWR('X', 120, int)
)

// Freeze writes everything back that the file system of a directory holds, and has whoever writes there wait.
// What is on the device is then whole, and stays as it is until the function that it returns is called.
func Freeze(root *os.File) (func() error, error) {
	// Most of it goes while others can still write.
	if err := unix.Syncfs(int(root.Fd())); err != nil {
		return nil, fmt.Errorf("write everything back: %w", err)
	}
	if err := unix.IoctlSetInt(int(root.Fd()), freeze, 0); err != nil {
		if err == unix.EBUSY {
			return nil, errors.New("somebody has frozen it already")
		}
		return nil, fmt.Errorf("freeze it: %w", err)
	}
	return func() error {
		if err := unix.IoctlSetInt(int(root.Fd()), thaw, 0); err != nil {
			return fmt.Errorf("it did not stand still all the time: %w", err)
		}
		return nil
	}, nil
}

var turn sync.Mutex

// Hold freezes the file system of a directory, says so with one byte, and thaws it when the other end has no more
// to say. Calls take their turn.
func Hold(root *os.File, output io.Writer, input io.Reader) error {
	turn.Lock()
	defer turn.Unlock()
	release, err := Freeze(root)
	if err != nil {
		return err
	}
	if _, err := output.Write([]byte{1}); err == nil {
		io.Copy(io.Discard, input)
	} // else nobody waits for it
	return release()
}

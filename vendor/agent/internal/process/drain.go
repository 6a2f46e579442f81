package process

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lingering is how long output may still come from background processes after the command has ended.
const lingering = 200 * time.Millisecond

// drained reads a command's output until its end, or for a while after the command has ended.
//
// A background process can hold a pipe open for as long as it likes, so the end of the pipe cannot be
// waited for. What the command itself wrote is in the pipe when it ends, in order; so whatever is
// there when the time is up is the last that is read, however slowly the host takes it.
type drained struct {
	file *os.File
	late bool
	left int
}

func (d *drained) Read(b []byte) (int, error) {
	if !d.late {
		n, err := d.file.Read(b)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			d.late, d.left = true, d.pending()
			d.file.SetReadDeadline(time.Time{})
		case errors.Is(err, unix.EIO): // a terminal that its last process has left
			return n, io.EOF
		default:
			return n, err
		}
	}
	if d.left == 0 {
		return 0, io.EOF
	}
	n, err := d.file.Read(b[:min(len(b), d.left)])
	d.left -= n
	if errors.Is(err, unix.EIO) {
		err = io.EOF
	}
	return n, err
}

// commandEnded starts the time that the rest has.
func (d *drained) commandEnded() {
	d.file.SetReadDeadline(time.Now().Add(lingering))
}

func (d *drained) pending() int {
	raw, err := d.file.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	raw.Control(func(fd uintptr) {
		if got, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ); err == nil {
			n = got
		}
	})
	return n
}

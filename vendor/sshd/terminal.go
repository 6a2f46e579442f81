package main

import (
	"errors"
	"io"
	"os"
	"os/exec"

	"github.com/creack/pty"
	"github.com/gliderlabs/ssh"
	"golang.org/x/sys/unix"
)

// runOnTerminal makes a terminal the command's three streams and its controlling one.
func (r *running) runOnTerminal(session ssh.Session, command *exec.Cmd, first ssh.Window, sizes <-chan ssh.Window) error {
	var tty *os.File
	err := r.begin(command, func() error {
		started, err := pty.StartWithSize(command, sizeOf(first))
		if err != nil {
			return err
		}
		tty, err = pollable(started)
		return err
	})
	if err != nil {
		return err
	}
	defer r.ended(command)
	go func() {
		for size := range sizes {
			resize(tty, sizeOf(size))
		}
	}()
	go func() {
		io.Copy(tty, session) // ends with the session
	}()
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		io.Copy(session, tty) // until nobody holds the other end: EIO
	}()
	defer passSignals(session, command)()
	err = command.Wait()
	drained(shown)
	tty.Close()
	<-shown
	return err
}

// pollable takes the place of a file whose reads would go on after it is closed, which is how the library
// leaves it.
func pollable(file *os.File) (*os.File, error) {
	defer file.Close()
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), file.Name()), nil
}

// resize does nothing to a terminal that is closed; its number may be another file's then.
func resize(tty *os.File, size *pty.Winsize) error {
	raw, err := tty.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Cols})
	})
	return errors.Join(err, failed)
}

func sizeOf(window ssh.Window) *pty.Winsize {
	return &pty.Winsize{Rows: uint16(window.Height), Cols: uint16(window.Width)}
}

package main

import (
	"io"
	"os/exec"

	"github.com/creack/pty"
	"github.com/gliderlabs/ssh"
)

// runOnTerminal makes a terminal the command's three streams and its controlling one. Closing our end is
// what hangs up on the command when the client is gone.
func runOnTerminal(session ssh.Session, command *exec.Cmd, first ssh.Window, sizes <-chan ssh.Window) error {
	tty, err := pty.StartWithSize(command, sizeOf(first))
	if err != nil {
		return err
	}
	go func() {
		for size := range sizes {
			pty.Setsize(tty, sizeOf(size))
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

func sizeOf(window ssh.Window) *pty.Winsize {
	return &pty.Winsize{Rows: uint16(window.Height), Cols: uint16(window.Width)}
}

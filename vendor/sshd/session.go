package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// Background processes that still hold a command's pipes have so long, as those of `sbx exec`.
const drainTime = 200 * time.Millisecond

// serveSession runs a command, or the user's shell as at a login.
func (r *running) serveSession(session ssh.Session) {
	command := commandOf(session)
	pty, sizes, wanted := session.Pty()
	var err error
	if wanted {
		command.Env = append(command.Env, "TERM="+pty.Term)
		err = r.runOnTerminal(session, command, pty.Window, sizes)
	} else {
		err = r.runOnPipes(session, command)
	}
	finish(session, err)
}

func commandOf(session ssh.Session) *exec.Cmd {
	shell := loginShell()
	command := exec.Command(shell)
	if raw := session.RawCommand(); raw != "" {
		command.Args = []string{filepath.Base(shell), "-c", raw}
	} else {
		command.Args = []string{"-" + filepath.Base(shell)}
	}
	command.Env = append(os.Environ(), session.Environ()...)
	command.Env = append(command.Env, "SHELL="+shell)
	command.WaitDelay = drainTime
	return command
}

// runOnPipes gives the command a process group of its own, which a signal of the client's reaches whole.
func (r *running) runOnPipes(session ssh.Session, command *exec.Cmd) error {
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	command.Stdout, command.Stderr = session, session.Stderr()
	input, err := command.StdinPipe()
	if err != nil {
		return err
	}
	if err := r.begin(command, command.Start); err != nil {
		return err
	}
	defer r.ended(command)
	// Not by the command's own goroutine: its end must not wait for a client that types nothing.
	go func() {
		io.Copy(input, session)
		input.Close()
	}()
	defer passSignals(session, command)()
	err = command.Wait()
	if errors.Is(err, exec.ErrWaitDelay) { // the command itself is over, and was fine
		err = nil
	}
	return err
}

// passSignals has the command told what the client says, until the returned function is called.
func passSignals(session ssh.Session, command *exec.Cmd) func() {
	signals, over := make(chan ssh.Signal, 8), make(chan struct{})
	session.Signals(signals)
	go func() {
		for {
			select {
			case name := <-signals:
				if signal, known := signalNumbers[name]; known {
					syscall.Kill(-command.Process.Pid, signal)
				}
			case <-over:
				return
			}
		}
	}()
	return func() {
		session.Signals(nil)
		close(over)
	}
}

// finish says how the command ended, as RFC 4254 6.10 has it.
func finish(session ssh.Session, err error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		session.Exit(0)
	case errors.As(err, &exit):
		status, _ := exit.Sys().(syscall.WaitStatus)
		if name, known := signalName(status.Signal()); status.Signaled() && known {
			session.SendRequest("exit-signal", false, gossh.Marshal(struct {
				Signal   string
				Core     bool
				Message  string
				Language string
			}{Signal: name, Core: status.CoreDump()}))
			session.Close()
			return
		}
		session.Exit(exit.ExitCode())
	default:
		fmt.Fprintln(session.Stderr(), "sbx:", err)
		session.Exit(127)
	}
}

// loginShell is what /etc/passwd says of whoever runs this process, else the one that every system has.
func loginShell() string {
	const fallback = "/bin/sh"
	self, err := user.Current()
	if err != nil {
		return fallback
	}
	if shell := shellOf(self.Uid); shell != "" {
		if _, err := os.Stat(shell); err == nil {
			return shell
		}
	}
	return fallback
}

// drained waits until all is shown, but not for background processes that keep a terminal open.
func drained(shown <-chan struct{}) {
	select {
	case <-shown:
	case <-time.After(drainTime):
	}
}

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"sbx/agent/internal/wire"
)

// execSpec is what a command needs.
type execSpec struct {
	Argv  []string          `json:"argv"`
	Env   map[string]string `json:"env"`
	Cwd   string            `json:"cwd"`
	Stdin bool              `json:"stdin"`
	TTY   *terminalSize     `json:"tty"`
}

type terminalSize struct {
	Cols uint16 `json:"cols"`
	Rows uint16 `json:"rows"`
	Term string `json:"term"`
}

// exitStatus is the ok half of an exec's Result: one of the two.
type exitStatus struct {
	Code   *int `json:"code,omitempty"`
	Signal *int `json:"signal,omitempty"`
}

// lingering is how long output may keep coming from background children after the command itself
// has ended.
const lingering = 250 * time.Millisecond

// process is a running command.
type process struct {
	pid      int
	terminal *os.File // nil without one
}

// signal goes to the command's whole session leader group, as a terminal would send it.
func (p *process) signal(number int) {
	syscall.Kill(-p.pid, syscall.Signal(number))
}

func (p *process) resize(cols, rows uint16) {
	if p.terminal != nil {
		setSize(p.terminal, cols, rows)
	}
}

// run starts the command, moves its streams and reports its end.
func (c *call) run(spec execSpec) {
	path, fail := lookUp(spec)
	if fail != nil {
		c.endStreams()
		c.session.finish(c.id, result{Error: fail}, nil)
		return
	}
	files, closeChild, terminal, err := openStreams(spec)
	if err != nil {
		c.endStreams()
		c.session.finish(c.id, result{}, err)
		return
	}
	attr := &syscall.ProcAttr{
		Dir: spec.Cwd, Env: environment(spec), Files: files.child,
		Sys: &syscall.SysProcAttr{Setsid: true, Setctty: terminal != nil},
	}
	pid, exited, err := c.session.reaper.start(path, spec.Argv, attr)
	closeChild()
	if err != nil {
		files.closeHost()
		c.endStreams()
		c.session.finish(c.id, result{Error: startFailure(spec.Argv[0], err)}, nil)
		return
	}
	c.mu.Lock()
	c.process = &process{pid, terminal}
	c.mu.Unlock()
	go c.feed(files.in)
	var done sync.WaitGroup
	for stream, from := range map[uint8]*os.File{stdout: files.out, stderr: files.err} {
		if from == nil {
			c.eof(stream)
			continue
		}
		done.Add(1)
		go func() {
			defer done.Done()
			c.drain(stream, from)
		}()
	}
	status := <-exited
	drained := make(chan struct{})
	go func() { done.Wait(); close(drained) }()
	select {
	case <-drained:
	case <-time.After(lingering):
		files.closeHost()
		<-drained
	}
	files.closeHost()
	c.session.finish(c.id, result{OK: statusOf(status)}, nil)
}

func (c *call) endStreams() {
	c.eof(stdout)
	c.eof(stderr)
}

func (c *call) eof(stream uint8) {
	c.session.writer.Send(wire.EOF, c.id, stream, make([]byte, wire.HeaderSize))
}

func statusOf(status syscall.WaitStatus) exitStatus {
	if status.Signaled() {
		number := int(status.Signal())
		return exitStatus{Signal: &number}
	}
	code := status.ExitStatus()
	return exitStatus{Code: &code}
}

// lookUp finds the program on the PATH that the command will have.
func lookUp(spec execSpec) (string, *failure) {
	if len(spec.Argv) == 0 {
		return "", &failure{"failed", "no command"}
	}
	if path := environmentPath(spec); path != "" {
		os.Setenv("PATH", path)
	}
	path, err := exec.LookPath(spec.Argv[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return "", startFailure(spec.Argv[0], err)
	}
	return path, nil
}

// startFailure tells apart what a shell tells apart by 127 and 126.
func startFailure(name string, err error) *failure {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return &failure{"not-found", fmt.Sprintf("%s: not found", name)}
	}
	return &failure{"not-executable", fmt.Sprintf("%s: %v", name, errors.Unwrap(err))}
}

// feed writes what the host sends to the command's input, giving credit as it is taken.
func (c *call) feed(to *os.File) {
	for payload := c.takeInput(); len(payload) > 0; payload = c.takeInput() {
		if to != nil {
			if _, err := to.Write(payload); err != nil {
				to = nil // the command no longer reads; the host is told, and what comes is dropped
				c.session.writer.Send(wire.Stop, c.id, stdin, make([]byte, wire.HeaderSize))
			}
		}
		c.session.writer.SendCredit(c.id, stdin, len(payload))
	}
	if to != nil {
		to.Close()
	}
}

// drain sends a stream of the command to the host, within its credit.
func (c *call) drain(stream uint8, from *os.File) {
	room := make([]byte, wire.HeaderSize+wire.MaxData)
	for {
		n, err := from.Read(room[wire.HeaderSize:])
		for sent := 0; sent < n; {
			part := c.claim(stream, n-sent)
			if sent > 0 {
				copy(room[wire.HeaderSize:], room[wire.HeaderSize+sent:wire.HeaderSize+n])
				n -= sent
				sent = 0
			}
			c.session.writer.Send(wire.Data, c.id, stream, room[:wire.HeaderSize+part])
			sent += part
		}
		if err != nil {
			break // EOF, EIO of a closed terminal, or closed by run
		}
	}
	c.eof(stream)
}

// Package process runs the host's commands.
//
//	Exec:   look up → open streams → fork → copy ⇄ → ended → drain → Result
//
// The three streams are copied by a goroutine each. Nothing but the command's own end, and after it
// the short time of drained, decides when the call is over.
package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"syscall"

	"sbx.dev/agent/internal/session"
)

// Spec is what a command needs.
type Spec struct {
	// Argv and Env are strings that end with NUL each, as execve(2) takes them; JSON could not hold
	// those that are not UTF-8. Env, of the form NAME=VALUE, is added to the defaults.
	Argv []byte `json:"argv"`
	Env  []byte `json:"env"`
	// User is NAME or UID, with :GROUP if wanted; empty means root.
	User string `json:"user"`
	// Dir is where the command starts; empty means the home directory.
	Dir string `json:"cwd"`
	// Stdin false means an empty input.
	Stdin bool `json:"stdin"`
	// Closed lists standard streams, by number, that are closed for the command.
	Closed []int `json:"closed"`
	// TTY gives the command a terminal, which is all three streams.
	TTY *TTY `json:"tty"`
}

// TTY is a terminal's size and type.
type TTY struct {
	Columns uint16 `json:"cols"`
	Rows    uint16 `json:"rows"`
	Term    string `json:"term"`
}

// Status is how a command ended: exactly one of both.
type Status struct {
	Code   *int `json:"code,omitempty"`
	Signal *int `json:"signal,omitempty"`
}

// Exec is the method "exec". The surroundings are asked for at each start, since the machine learns of
// them only when it is configured.
func (r *Reaper) Exec(surroundings func() Surroundings) session.Method {
	return func(call *session.Call) (any, error) {
		var spec Spec
		if err := json.Unmarshal(call.Request, &spec); err != nil {
			return nil, err
		}
		if len(spec.Argv) == 0 {
			return nil, errors.New("argv is empty")
		}
		if !ended(spec.Argv) || !ended(spec.Env) {
			return nil, errors.New("a list of strings does not end with NUL")
		}
		return r.run(call, spec, surroundings())
	}
}

// ended reports whether the last string of a list is whole.
func ended(list []byte) bool { return len(list) == 0 || list[len(list)-1] == 0 }

// stringsOf cuts a list apart.
func stringsOf(list []byte) []string {
	var found []string
	for len(list) > 0 {
		end := bytes.IndexByte(list, 0)
		found = append(found, string(list[:end]))
		list = list[end+1:]
	}
	return found
}

func (r *Reaper) run(call *session.Call, spec Spec, around Surroundings) (*Status, error) {
	stdio, err := openStdio(spec)
	if err != nil {
		return nil, err
	}
	pid, ended, err := r.launch(spec, around, stdio)
	stdio.closeChild()
	if err != nil {
		stdio.close()
		return nil, err
	}
	call.Begun() // when the port fails, reading from it does too, and that ends the session
	call.OnEvent(func(e session.Event) {
		if e.Signal != 0 {
			r.signal(pid, e.Signal)
		} else if spec.TTY != nil {
			stdio.tty.resize(e.Columns, e.Rows)
		}
	})
	go stdio.feed(call.Input, spec.TTY != nil)
	var copying sync.WaitGroup
	var outputs []*drained
	for _, stream := range []struct {
		from *os.File
		to   *session.Outflow
	}{{stdio.output, call.Output}, {stdio.errors, call.Errors}} {
		if stream.from == nil {
			stream.to.Close()
			continue
		}
		output := &drained{file: stream.from}
		outputs = append(outputs, output)
		copying.Go(func() { forward(stream.to, output) })
	}
	status := <-ended
	for _, output := range outputs {
		output.commandEnded()
	}
	copying.Wait()
	call.Input.Close()
	stdio.close()
	return statusOf(status), nil
}

// feed writes the host's bytes to the command until either has enough.
func (s *stdio) feed(input *session.Inflow, isTerminal bool) {
	defer input.Close()
	if s.input == nil {
		return
	}
	if _, err := input.WriteTo(s.input); err != nil {
		if !isTerminal {
			s.input.Close()
		}
		return
	}
	if isTerminal {
		s.tty.endInput()
	} else {
		s.input.Close()
	}
}

// forward sends a command's output. When the host wants no more, the pipe is closed, so that the
// command learns it from SIGPIPE.
func forward(to *session.Outflow, from *drained) {
	to.OnStop(func() { from.file.Close() })
	to.CopyFrom(from)
	to.Close()
}

func statusOf(status syscall.WaitStatus) *Status {
	if status.Signaled() {
		number := int(status.Signal())
		return &Status{Signal: &number}
	}
	code := status.ExitStatus()
	return &Status{Code: &code}
}

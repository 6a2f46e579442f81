// Package process runs the host's commands.
//
//	Exec:   look up → open streams → fork → copy ⇄ → ended → drain → Result
//
// The three streams are copied by a goroutine each. Nothing but the command's own end, and after it
// the short time of drained, decides when the call is over.
package process

import (
	"encoding/json"
	"errors"
	"sync"
	"syscall"

	"sbx.dev/agent/internal/session"
)

// Spec is what a command needs.
type Spec struct {
	Argv []string `json:"argv"`
	// Env is added to the defaults.
	Env map[string]string `json:"env"`
	// Dir is where the command starts; empty means the home directory.
	Dir string `json:"cwd"`
	// Stdin false means an empty input.
	Stdin bool `json:"stdin"`
	// TTY gives the command a terminal.
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

// Exec is the method "exec".
func (r *Reaper) Exec(defaults Defaults) session.Method {
	return func(call *session.Call) (any, error) {
		var spec Spec
		if err := json.Unmarshal(call.Request, &spec); err != nil {
			return nil, err
		}
		if len(spec.Argv) == 0 {
			return nil, errors.New("argv is empty")
		}
		return r.run(call, spec, defaults)
	}
}

func (r *Reaper) run(call *session.Call, spec Spec, defaults Defaults) (*Status, error) {
	stdio, err := openStdio(spec)
	if err != nil {
		return nil, err
	}
	pid, ended, err := r.launch(spec, defaults, stdio)
	stdio.closeChild()
	if err != nil {
		stdio.close()
		return nil, err
	}
	call.OnEvent(func(e session.Event) {
		if e.Signal != 0 {
			r.signal(pid, e.Signal)
		} else if spec.TTY != nil {
			stdio.tty.resize(e.Columns, e.Rows)
		}
	})
	go stdio.feed(call.Input, spec.TTY != nil)
	var copying sync.WaitGroup
	outputs := []*drained{{file: stdio.output}}
	copying.Go(func() { forward(call.Output, outputs[0]) })
	if stdio.errors != nil {
		outputs = append(outputs, &drained{file: stdio.errors})
		copying.Go(func() { forward(call.Errors, outputs[1]) })
	} else {
		call.Errors.Close()
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

package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"sbx.dev/agent/internal/wire"
)

// Call is one request of the host with the streams that belong to it.
type Call struct {
	// Request is the JSON object that opened the call.
	Request json.RawMessage
	// Input carries stream 0, from the host.
	Input *Inflow
	// Output and Errors carry streams 1 and 2, to the host.
	Output, Errors *Outflow

	writer *wire.Writer
	id     uint32

	mutex   sync.Mutex
	early   []Event // came before OnEvent
	onEvent func(Event)

	sending  sync.Mutex // held over every frame of the call
	finished bool       // Result is sent, nothing may follow
}

// Event is what the host says to a running call beside its streams: a signal or, when that is zero,
// the size of its terminal.
type Event struct {
	Signal        syscall.Signal
	Columns, Rows uint16
}

// maxEarly bounds the events kept for a process that is not started yet.
const maxEarly = 64

func newCall(writer *wire.Writer, id uint32, request []byte) *Call {
	c := &Call{Request: append([]byte(nil), request...), writer: writer, id: id}
	c.Input = newInflow(c)
	c.Output = newOutflow(c, 1)
	c.Errors = newOutflow(c, 2)
	return c
}

// OnEvent delivers the events, those that came already first. The receiver must not block.
func (c *Call) OnEvent(receive func(Event)) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, e := range c.early {
		receive(e)
	}
	c.early, c.onEvent = nil, receive
}

// Begun tells the host that the command that it asked for was started.
func (c *Call) Begun() error {
	return c.send(wire.Begun, 0, make([]byte, wire.HeaderSize))
}

func (c *Call) event(e Event) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.onEvent != nil {
		c.onEvent(e)
	} else if len(c.early) < maxEarly {
		c.early = append(c.early, e)
	}
}

func (c *Call) send(kind wire.Kind, stream uint8, room []byte) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.finished { // a late Stop: the host has forgotten the call
		return nil
	}
	return c.writer.Send(kind, c.id, stream, room)
}

func (c *Call) sendCredit(stream uint8, n int) {
	c.sending.Lock()
	defer c.sending.Unlock()
	if !c.finished {
		c.writer.SendCredit(c.id, stream, n)
	}
}

// finish sends the result, after which the call sends nothing. A failed call's output is not ended
// before: what there is of it must not look complete.
func (c *Call) finish(ok any, failed error) error {
	c.Input.Close()
	if failed == nil {
		c.Output.Close()
		c.Errors.Close()
	}
	if ok == nil {
		ok = struct{}{}
	}
	result := map[string]any{"ok": ok}
	if failed != nil {
		result = map[string]any{"error": describe(failed)}
	}
	body, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("cannot encode a result: %w", err)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	c.finished = true
	return c.writer.Send(wire.Result, c.id, 0, append(make([]byte, wire.HeaderSize), body...))
}

// Failure is an error with a code that the host branches on.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (f *Failure) Error() string { return f.Message }

func describe(err error) *Failure {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure
	}
	return &Failure{Code: "failed", Message: err.Error()}
}

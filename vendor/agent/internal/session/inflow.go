package session

import (
	"errors"
	"io"
	"sync"

	"sbx.dev/agent/internal/wire"
)

var errOverrun = errors.New("host sent more than its credit")

// Inflow is the receiving end of stream 0: an io.Reader with at most wire.Window bytes queued. What
// has been read goes back to the host as credit, a quarter of the window at a time.
type Inflow struct {
	call   *Call
	mutex  sync.Mutex
	change sync.Cond
	queue  [][]byte
	queued int // bytes in queue
	owed   int // bytes read and not yet credited
	ended  bool
	closed bool
}

func newInflow(call *Call) *Inflow {
	f := &Inflow{call: call}
	f.change.L = &f.mutex
	return f
}

// Read implements io.Reader; io.EOF follows the host's last byte, or Close.
func (f *Inflow) Read(b []byte) (int, error) {
	f.mutex.Lock()
	for len(f.queue) == 0 && !f.ended && !f.closed {
		f.change.Wait()
	}
	if f.closed || len(f.queue) == 0 {
		f.mutex.Unlock()
		return 0, io.EOF
	}
	n := copy(b, f.queue[0])
	if f.queue[0] = f.queue[0][n:]; len(f.queue[0]) == 0 {
		f.queue = f.queue[1:]
	}
	f.queued -= n
	f.owed += n
	credit := 0
	if f.owed >= wire.Window/4 && !f.ended {
		credit, f.owed = f.owed, 0
	}
	f.mutex.Unlock()
	if credit > 0 {
		f.call.sendCredit(0, credit)
	}
	return n, nil
}

// Close drops what is queued and tells the host to send no more.
func (f *Inflow) Close() error {
	f.mutex.Lock()
	tell := !f.closed && !f.ended
	f.closed, f.queue = true, nil
	f.change.Broadcast()
	f.mutex.Unlock()
	if !tell {
		return nil
	}
	return f.call.send(wire.Stop, 0, make([]byte, wire.HeaderSize))
}

func (f *Inflow) push(b []byte) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.closed { // sent before the host saw our Stop
		return nil
	}
	if f.ended || f.queued+f.owed+len(b) > wire.Window {
		return errOverrun
	}
	f.queue = append(f.queue, append([]byte(nil), b...))
	f.queued += len(b)
	f.change.Broadcast()
	return nil
}

func (f *Inflow) end() {
	f.mutex.Lock()
	f.ended = true
	f.change.Broadcast()
	f.mutex.Unlock()
}

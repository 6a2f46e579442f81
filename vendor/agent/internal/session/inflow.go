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
	held   int // bytes in queue or being written
	owed   int // bytes taken and not yet credited
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
	head, err := f.head()
	if err != nil {
		f.mutex.Unlock()
		return 0, err
	}
	n := copy(b, head)
	if n < len(head) {
		f.queue[0] = head[n:]
	} else {
		f.queue = f.queue[1:]
	}
	f.mutex.Unlock()
	f.taken(n)
	return n, nil
}

// WriteTo implements io.WriterTo: as Read, without a copy between.
func (f *Inflow) WriteTo(w io.Writer) (int64, error) {
	for total := int64(0); ; {
		f.mutex.Lock()
		head, err := f.head()
		if err != nil {
			f.mutex.Unlock()
			return total, nil
		}
		f.queue = f.queue[1:]
		f.mutex.Unlock()
		n, err := w.Write(head)
		total += int64(n)
		if err != nil {
			return total, err
		}
		f.taken(n)
	}
}

// head waits for bytes. The caller holds the mutex.
func (f *Inflow) head() ([]byte, error) {
	for len(f.queue) == 0 && !f.ended && !f.closed {
		f.change.Wait()
	}
	if f.closed || len(f.queue) == 0 {
		return nil, io.EOF
	}
	return f.queue[0], nil
}

// taken counts bytes that no longer wait here, and gives credit for them when it is worth a frame.
func (f *Inflow) taken(n int) {
	f.mutex.Lock()
	f.held -= n
	f.owed += n
	credit := 0
	if f.owed >= wire.Window/4 && !f.ended {
		credit, f.owed = f.owed, 0
	}
	f.mutex.Unlock()
	if credit > 0 {
		f.call.sendCredit(0, credit)
	}
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
	if f.ended || f.held+f.owed+len(b) > wire.Window {
		return errOverrun
	}
	f.queue = append(f.queue, append([]byte(nil), b...))
	f.held += len(b)
	f.change.Broadcast()
	return nil
}

func (f *Inflow) end() {
	f.mutex.Lock()
	f.ended = true
	f.change.Broadcast()
	f.mutex.Unlock()
}

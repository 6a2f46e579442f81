package session

import (
	"errors"
	"io"
	"sync"

	"sbx.dev/agent/internal/wire"
)

var (
	errStopped = errors.New("host wants no more of this stream")
	errCredit  = errors.New("host gave an impossible credit")
)

// Outflow is the sending end of a stream. One goroutine sends; the host's frames come on another.
type Outflow struct {
	call    *Call
	stream  uint8
	mutex   sync.Mutex
	change  sync.Cond
	credit  int
	ended   bool
	stopped bool
	onStop  func()
	buffer  []byte // of Write
}

func newOutflow(call *Call, stream uint8) *Outflow {
	f := &Outflow{call: call, stream: stream, credit: wire.Window}
	f.change.L = &f.mutex
	return f
}

// OnStop runs act when the host stops the stream, at once if it has already. It may run on the
// goroutine that reads frames, so it must not block.
func (f *Outflow) OnStop(act func()) {
	f.mutex.Lock()
	f.onStop = act
	stopped := f.stopped
	f.mutex.Unlock()
	if stopped {
		act()
	}
}

// CopyFrom sends all of r, in frames as large as r's reads, and never reads what the host cannot
// take: a slow reader on the host holds up the writer in the guest.
func (f *Outflow) CopyFrom(r io.Reader) error {
	room := make([]byte, wire.HeaderSize+wire.MaxData)
	for {
		n, err := f.room(wire.MaxData)
		if err != nil {
			return err
		}
		n, err = r.Read(room[wire.HeaderSize : wire.HeaderSize+n])
		if n > 0 {
			if err := f.send(room[:wire.HeaderSize+n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Write sends b in frames, as the host can take them.
func (f *Outflow) Write(b []byte) (int, error) {
	if f.buffer == nil {
		f.buffer = make([]byte, wire.HeaderSize+wire.MaxData)
	}
	for sent := 0; sent < len(b); {
		n, err := f.room(min(len(b)-sent, wire.MaxData))
		if err != nil {
			return sent, err
		}
		n = copy(f.buffer[wire.HeaderSize:wire.HeaderSize+n], b[sent:])
		if err := f.send(f.buffer[:wire.HeaderSize+n]); err != nil {
			return sent, err
		}
		sent += n
	}
	return len(b), nil
}

// Close ends the stream. Further calls do nothing.
func (f *Outflow) Close() error {
	f.mutex.Lock()
	ended := f.ended
	f.ended = true
	f.mutex.Unlock()
	if ended {
		return nil
	}
	return f.call.send(wire.EOF, f.stream, make([]byte, wire.HeaderSize))
}

// room waits until the host can take bytes and says how many of at most limit.
func (f *Outflow) room(limit int) (int, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for f.credit == 0 && !f.stopped {
		f.change.Wait()
	}
	if f.stopped {
		return 0, errStopped
	}
	return min(limit, f.credit), nil
}

func (f *Outflow) send(room []byte) error {
	f.mutex.Lock()
	f.credit -= len(room) - wire.HeaderSize
	f.mutex.Unlock()
	return f.call.send(wire.Data, f.stream, room)
}

func (f *Outflow) grant(n uint32) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if n == 0 || int64(f.credit)+int64(n) > wire.Window {
		return errCredit
	}
	f.credit += int(n)
	f.change.Broadcast()
	return nil
}

func (f *Outflow) stop() {
	f.mutex.Lock()
	f.stopped = true
	act := f.onStop
	f.change.Broadcast()
	f.mutex.Unlock()
	if act != nil {
		act()
	}
}

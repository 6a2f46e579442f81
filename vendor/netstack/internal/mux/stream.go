package mux

import (
	"errors"
	"io"
	"sync"
	"syscall"

	"sbx.dev/netstack/internal/control"
)

var (
	ErrCredit = errors.New("sbx sent more than its credit")
	errEmpty  = errors.New("sbx sent no bytes of a stream")
)

// Stream is a redirected TCP flow: a byte stream with half-close and credit in each direction.
type Stream struct {
	m    *Mux
	id   uint32
	full int // the credit each direction starts with

	mu       sync.Mutex
	changed  *sync.Cond
	inbox    []byte // received, not yet read
	window   int    // what sbx may still send
	owed     int    // read, credit not yet given back
	budget   int    // what we may still send
	ended    bool   // sbx sent EOF
	closed   bool   // we sent EOF
	aborted  bool
	released bool
}

// Open hands a flow to sbx, with so much credit in each direction.
func (m *Mux) Open(id uint64, info control.FlowInfo, credit int) *Stream {
	s := &Stream{m: m, id: uint32(id), full: credit, window: credit, budget: credit}
	s.changed = sync.NewCond(&s.mu)
	m.register(id, info, s, credit)
	return s
}

func (s *Stream) data(payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(payload) > s.window {
		return ErrCredit
	}
	if len(payload) == 0 {
		return errEmpty // credit does not bound how many there are of these
	}
	if s.aborted || s.ended {
		return nil
	}
	s.window -= len(payload)
	s.inbox = append(s.inbox, payload...)
	s.changed.Broadcast()
	return nil
}

func (s *Stream) eof() {
	s.mu.Lock()
	s.ended = true
	s.changed.Broadcast()
	s.mu.Unlock()
}

func (s *Stream) reset() {
	s.mu.Lock()
	s.aborted = true
	s.changed.Broadcast()
	s.mu.Unlock()
}

func (s *Stream) credit(n uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int64(s.budget)+int64(n) > int64(s.full) {
		return ErrCredit
	}
	s.budget += int(n)
	s.changed.Broadcast()
	return nil
}

func (s *Stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	for len(s.inbox) == 0 && !s.ended && !s.aborted {
		s.changed.Wait()
	}
	if s.aborted {
		s.mu.Unlock()
		return 0, syscall.ECONNRESET
	}
	if len(s.inbox) == 0 {
		s.mu.Unlock()
		return 0, io.EOF
	}
	n := copy(p, s.inbox)
	s.inbox = s.inbox[n:]
	if len(s.inbox) == 0 {
		s.inbox = nil
	}
	s.owed += n
	give := 0
	if s.owed >= s.full/4 {
		give, s.owed = s.owed, 0
		s.window += give
	}
	s.mu.Unlock()
	if give > 0 {
		s.m.sendCredit(s.id, give)
	}
	return n, nil
}

func (s *Stream) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		s.mu.Lock()
		for s.budget == 0 && !s.aborted {
			s.changed.Wait()
		}
		if s.aborted {
			s.mu.Unlock()
			return written, syscall.EPIPE
		}
		n := min(len(p)-written, s.budget, maxPayload)
		s.budget -= n
		s.mu.Unlock()
		if err := s.m.send(frameData, s.id, p[written:written+n]); err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}

func (s *Stream) CloseWrite() error {
	s.mu.Lock()
	send := !s.closed && !s.aborted
	s.closed = true
	s.mu.Unlock()
	if send {
		return s.m.send(frameEOF, s.id, nil)
	}
	return nil
}

func (s *Stream) Abort() {
	s.mu.Lock()
	send := !s.aborted && !s.released
	s.aborted = true
	s.changed.Broadcast()
	s.mu.Unlock()
	if send {
		s.m.send(frameReset, s.id, nil)
	}
}

// Close releases the stream; one that did not end in both directions is reset.
func (s *Stream) Close() error {
	s.mu.Lock()
	orderly := s.ended && s.closed
	s.mu.Unlock()
	if !orderly {
		s.Abort()
	}
	s.mu.Lock()
	s.released = true
	s.mu.Unlock()
	s.m.release(s.id)
	return nil
}

package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"

	"sbx/agent/internal/wire"
)

// Streams of a call.
const (
	stdin  = 0
	stdout = 1
	stderr = 2
)

// session serves the host's calls over the port. Each call lives from its Call frame to its Result.
type session struct {
	writer  *wire.Writer
	machine *machine
	reaper  *reaper

	mu    sync.Mutex
	calls map[uint32]*call
}

// call is one running command.
type call struct {
	id      uint32
	session *session
	process *process
	input   []byte        // sent by the host, not yet written; its credit bounds it
	inEnded bool          // the host sent EOF
	arrived chan struct{} // something of the above changed
	credit  [3]chan struct{}
	budget  [3]int
	mu      sync.Mutex
}

// request is the payload of a Call frame.
type request struct {
	Method    string     `json:"method"`
	Configure *configure `json:"configure"`
	Exec      *execSpec  `json:"exec"`
}

// failure is the error half of a Result frame.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type result struct {
	OK    any      `json:"ok,omitempty"`
	Error *failure `json:"error,omitempty"`
}

// serve reads frames until the host is gone; a violation of the protocol is an error.
func (s *session) serve(reader *wire.Reader) error {
	for {
		head, payload, err := reader.Next()
		if err != nil {
			return err
		}
		if head.Kind == wire.Call {
			var r request
			if err := json.Unmarshal(payload, &r); err != nil {
				return fmt.Errorf("%w: %w", wire.ErrMalformed, err)
			}
			s.start(head.Call, r)
			continue
		}
		s.mu.Lock()
		c := s.calls[head.Call]
		s.mu.Unlock()
		if c != nil {
			c.take(head, payload)
		}
	}
}

func (s *session) start(id uint32, r request) {
	switch {
	case r.Method == "configure" && r.Configure != nil:
		err := s.machine.configure(*r.Configure)
		s.finish(id, result{OK: struct{}{}}, err)
	case r.Method == "exec" && r.Exec != nil:
		c := newCall(id, s)
		s.mu.Lock()
		s.calls[id] = c
		s.mu.Unlock()
		go c.run(*r.Exec)
	case r.Method == "shutdown":
		s.finish(id, result{OK: struct{}{}}, nil)
		powerOff()
	default:
		s.finish(id, result{Error: &failure{"unknown", "unknown method " + r.Method}}, nil)
	}
}

func (s *session) finish(id uint32, r result, err error) {
	if err != nil {
		r = result{Error: &failure{"failed", err.Error()}}
	}
	body, _ := json.Marshal(r)
	s.mu.Lock()
	delete(s.calls, id)
	s.mu.Unlock()
	s.writer.Send(wire.Result, id, 0, append(make([]byte, wire.HeaderSize), body...))
}

func newCall(id uint32, s *session) *call {
	c := &call{id: id, session: s, arrived: make(chan struct{}, 1)}
	for stream := range c.credit {
		c.credit[stream] = make(chan struct{}, 1)
		c.budget[stream] = wire.Window
	}
	return c
}

// take handles a frame of the host for this call.
func (c *call) take(head wire.Header, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch head.Kind {
	case wire.Data:
		if head.Stream == stdin && len(c.input) < wire.Window {
			c.input = append(c.input, payload...)
			poke(c.arrived)
		}
	case wire.EOF:
		if head.Stream == stdin {
			c.inEnded = true
			poke(c.arrived)
		}
	case wire.Credit:
		c.budget[head.Stream] += int(binary.BigEndian.Uint32(payload))
		poke(c.credit[head.Stream])
	case wire.Signal:
		if c.process != nil {
			c.process.signal(int(payload[0]))
		}
	case wire.Resize:
		if c.process != nil {
			c.process.resize(binary.BigEndian.Uint16(payload), binary.BigEndian.Uint16(payload[2:]))
		}
	}
}

// claim waits for credit and takes up to want bytes of it.
func (c *call) claim(stream uint8, want int) int {
	for {
		c.mu.Lock()
		if n := min(want, c.budget[stream]); n > 0 {
			c.budget[stream] -= n
			c.mu.Unlock()
			return n
		}
		c.mu.Unlock()
		<-c.credit[stream]
	}
}

// takeInput waits for bytes for the command's input; none means that there will be no more.
func (c *call) takeInput() []byte {
	for {
		c.mu.Lock()
		input, ended := c.input, c.inEnded
		c.input = nil
		c.mu.Unlock()
		if len(input) > 0 || ended {
			return input
		}
		<-c.arrived
	}
}

// poke wakes the one goroutine that waits on a channel of capacity one.
func poke(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

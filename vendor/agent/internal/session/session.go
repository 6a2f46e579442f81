// Package session turns the frames of a port into calls of methods and back.
//
// A call is opened by the host's Call frame and ended by the agent's Result, its last frame. In
// between it owns three streams: 0 from the host, 1 and 2 to it, each with its own credit, so that a
// stalled stream holds up neither another one nor the signals. Frames that the host sent before it
// saw the Result are dropped; frames of a call that was never opened, and all other violations, end
// the session: whoever is on the other side is not the host that this agent was built for.
package session

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"

	"sbx.dev/agent/internal/wire"
)

// Method answers a call. The returned value becomes the result's "ok", nil an empty object.
type Method func(*Call) (any, error)

// Session serves one port.
type Session struct {
	// Methods by name; their calls run beside each other.
	Methods map[string]Method

	writer *wire.Writer
	mutex  sync.Mutex
	calls  map[uint32]*Call
	last   uint32 // highest call opened
}

var errViolation = errors.New("host broke the protocol")

// Serve answers calls until the port ends, which is no error.
func (s *Session) Serve(port io.ReadWriter) error {
	s.writer = wire.NewWriter(port)
	s.calls = map[uint32]*Call{}
	reader := wire.NewReader(port)
	for {
		h, payload, err := reader.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = s.take(h, payload)
		}
		if err != nil {
			return err
		}
	}
}

func (s *Session) take(h wire.Header, payload []byte) error {
	if h.Kind == wire.Call {
		return s.open(h.Call, payload)
	}
	s.mutex.Lock()
	c, last := s.calls[h.Call], s.last
	s.mutex.Unlock()
	if c == nil {
		if h.Call > last {
			return fmt.Errorf("%w: frame for call %d, which was not opened", errViolation, h.Call)
		}
		return nil
	}
	if err := c.take(h, payload); err != nil {
		return fmt.Errorf("%w: call %d stream %d: %w", errViolation, h.Call, h.Stream, err)
	}
	return nil
}

func (s *Session) open(id uint32, request []byte) error {
	if id <= s.last {
		return fmt.Errorf("%w: call %d opened after call %d", errViolation, id, s.last)
	}
	var envelope struct {
		Method string `json:"method"`
	}
	if err := json.Unmarshal(request, &envelope); err != nil {
		return fmt.Errorf("%w: call %d: %w", errViolation, id, err)
	}
	c := newCall(s.writer, id, request)
	s.mutex.Lock()
	s.calls[id] = c
	s.last = id
	s.mutex.Unlock()
	method := s.Methods[envelope.Method]
	if method == nil {
		method = unknown
	}
	go s.run(c, method)
	return nil
}

func (s *Session) run(c *Call, method Method) {
	c.finish(method(c)) // when the port fails, reading from it does too, and that ends the session
	s.mutex.Lock()
	delete(s.calls, c.id)
	s.mutex.Unlock()
}

func unknown(*Call) (any, error) {
	return nil, &Failure{Code: "unknown-method", Message: "unknown method"}
}

func (c *Call) take(h wire.Header, payload []byte) error {
	output := c.Output
	if h.Stream == 2 {
		output = c.Errors
	}
	switch h.Kind {
	case wire.Data:
		return c.Input.push(payload)
	case wire.EOF:
		c.Input.end()
	case wire.Credit:
		return output.grant(binary.BigEndian.Uint32(payload))
	case wire.Stop:
		output.stop()
	case wire.Signal:
		c.event(Event{Signal: syscall.Signal(payload[0])})
	case wire.Resize:
		c.event(Event{Columns: binary.BigEndian.Uint16(payload), Rows: binary.BigEndian.Uint16(payload[2:])})
	}
	return nil
}

// Package wire reads and writes the frames between the host and the agent.
//
//	 0        1                 4                 7         8
//	+--------+-----------------+-----------------+---------+---------
//	| kind   | payload length  | call            | stream  | payload
//	+--------+-----------------+-----------------+---------+---------
//
// All numbers are big endian. docs/agent-protocol.md is the specification; the cases in
// test/vectors/call_frames.json hold both implementations to it.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Kind says what a frame means. Zero is no kind, so that a run of zero bytes is an error.
type Kind uint8

const (
	Call   Kind = 1 // host: opens a call; payload is a JSON object with "method"
	Result Kind = 2 // agent: ends a call; payload is a JSON object, "ok" or "error"
	Data   Kind = 3 // bytes of a stream, at least one
	EOF    Kind = 4 // the stream is complete
	Credit Kind = 5 // u32: so many more bytes of the stream may be sent
	Stop   Kind = 6 // the stream's receiver wants no more of it
	Signal Kind = 7 // host: u8 signal number for the call's process
	Resize Kind = 8 // host: u16 columns, u16 rows of the call's terminal
	Begun  Kind = 9 // agent: the call's command was started
)

const (
	HeaderSize = 8
	MaxData    = 64 << 10  // payload of Data
	MaxRequest = 4 << 20   // payload of Call; the kernel takes 2 MiB of arguments and environment
	Window     = 256 << 10 // credit that every stream starts with
)

// ErrMalformed is wrapped by every error about the bytes themselves.
var ErrMalformed = errors.New("malformed frame")

// Header is the fixed part of a frame.
type Header struct {
	Kind   Kind
	Length int
	Call   uint32
	Stream uint8
}

// shape is what a frame of some kind looks like when the host sends it.
type shape struct {
	low, high               int // bytes of payload
	firstStream, lastStream uint8
}

var fromHost = [...]shape{
	Call:   {low: 2, high: MaxRequest},
	Data:   {low: 1, high: MaxData},
	EOF:    {},
	Credit: {low: 4, high: 4, firstStream: 1, lastStream: 2},
	Stop:   {firstStream: 1, lastStream: 2},
	Signal: {low: 1, high: 1},
	Resize: {low: 4, high: 4},
}

// ParseHeader decodes the first HeaderSize bytes of a frame of the host. What it lets through bounds
// the memory that the payload needs.
func ParseHeader(b []byte) (Header, error) {
	h := Header{
		Kind:   Kind(b[0]),
		Length: int(binary.BigEndian.Uint32(b) & 0xffffff),
		Call:   binary.BigEndian.Uint32(b[4:]) >> 8,
		Stream: b[7],
	}
	if h.Kind == 0 || h.Kind == Result || int(h.Kind) >= len(fromHost) {
		return h, fmt.Errorf("%w: kind %d", ErrMalformed, h.Kind)
	}
	shape := fromHost[h.Kind]
	switch {
	case h.Length < shape.low || h.Length > shape.high:
		return h, fmt.Errorf("%w: kind %d with %d bytes", ErrMalformed, h.Kind, h.Length)
	case h.Stream < shape.firstStream || h.Stream > shape.lastStream:
		return h, fmt.Errorf("%w: kind %d on stream %d", ErrMalformed, h.Kind, h.Stream)
	case h.Call == 0:
		return h, fmt.Errorf("%w: call 0", ErrMalformed)
	}
	return h, nil
}

// Put writes the header into the first HeaderSize bytes of b.
func (h Header) Put(b []byte) {
	binary.BigEndian.PutUint32(b, uint32(h.Length))
	b[0] = byte(h.Kind)
	binary.BigEndian.PutUint32(b[4:], h.Call<<8|uint32(h.Stream))
}

package session

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"sbx.dev/agent/internal/wire"
)

// port says what the host said and swallows what the agent answers.
type port struct{ io.Reader }

func (port) Write(b []byte) (int, error) { return len(b), nil }

// Whatever bytes come, a session ends in one of the errors that it declares, and with it every call: none waits
// for more of a stream that cannot come.
func FuzzSession(f *testing.F) {
	frame := func(kind wire.Kind, call uint32, stream uint8, payload string) []byte {
		b := append(make([]byte, wire.HeaderSize), payload...)
		wire.Header{Kind: kind, Length: len(payload), Call: call, Stream: stream}.Put(b)
		return b
	}
	f.Add(bytes.Join([][]byte{
		frame(wire.Call, 1, 0, `{"method":"echo"}`),
		frame(wire.Data, 1, 0, "bytes"),
		frame(wire.Credit, 1, 1, "\x00\x00\x00\x05"),
		frame(wire.EOF, 1, 0, ""),
	}, nil))
	f.Add(bytes.Join([][]byte{
		frame(wire.Call, 2, 0, `{"method":"none"}`),
		frame(wire.Signal, 2, 0, "\x09"),
		frame(wire.Resize, 2, 0, "\x00\x50\x00\x18"),
		frame(wire.Stop, 2, 2, ""),
	}, nil))
	f.Fuzz(func(t *testing.T, stream []byte) {
		session := Session{Methods: map[string]Method{"echo": func(call *Call) (any, error) {
			call.OnEvent(func(Event) {})
			room := make([]byte, wire.HeaderSize+16)
			n, err := call.Input.Read(room[wire.HeaderSize:])
			return n, err
		}}}
		err := session.Serve(port{bytes.NewReader(stream)})
		for _, declared := range []error{nil, io.ErrUnexpectedEOF, wire.ErrMalformed, errViolation} {
			if err == declared || declared != nil && errors.Is(err, declared) {
				session.mutex.Lock()
				for _, call := range session.calls {
					call.Input.end() // as the end of the process does
				}
				session.mutex.Unlock()
				return
			}
		}
		t.Fatalf("undeclared error %v", err)
	})
}

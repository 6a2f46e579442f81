package nettest

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
)

// FrameMessage is a frame of the control channel.
func FrameMessage(text string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
}

// ReadMuxFrame reads a frame of the flows channel.
func ReadMuxFrame(t *testing.T, r io.Reader) (kind byte, id uint32, payload []byte) {
	t.Helper()
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		t.Fatal(err)
	}
	word := binary.BigEndian.Uint32(head[:])
	payload = make([]byte, word&0xffffff)
	if _, err := io.ReadFull(r, payload); err != nil {
		t.Fatal(err)
	}
	return byte(word >> 24), binary.BigEndian.Uint32(head[4:]), payload
}

// MuxFrame is a frame of the flows channel.
func MuxFrame(kind byte, id uint32, payload []byte) []byte {
	frame := binary.BigEndian.AppendUint32(nil, uint32(kind)<<24|uint32(len(payload)))
	return append(binary.BigEndian.AppendUint32(frame, id), payload...)
}

// Pieces reads bytes in pieces whose sizes another input gives.
type Pieces struct {
	Bytes []byte
	Sizes []byte
	next  int
}

func (p *Pieces) Read(b []byte) (int, error) {
	if len(p.Bytes) == 0 {
		return 0, io.EOF
	}
	size := 1
	if len(p.Sizes) > 0 {
		size = 1 + int(p.Sizes[p.next%len(p.Sizes)])
		p.next++
	}
	n := copy(b, p.Bytes[:min(size, len(p.Bytes))])
	p.Bytes = p.Bytes[n:]
	return n, nil
}

// ReadOnly is a connection that says what a reader says and swallows what it is told.
type ReadOnly struct {
	net.Conn
	io.Reader
}

func (c ReadOnly) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func (c ReadOnly) Write(p []byte) (int, error) { return len(p), nil }

func (c ReadOnly) Close() error { return nil }

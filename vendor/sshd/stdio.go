package main

import (
	"bufio"
	"io"
	"net"
	"os"
	"time"
)

// stdio is a connection made of two files.
type stdio struct {
	*bufio.Reader
	in, out *os.File
}

func newStdio(in, out *os.File) *stdio {
	return &stdio{Reader: bufio.NewReaderSize(in, 64<<10), in: in, out: out}
}

// Read implements net.Conn; the buffer has two readers by embedding, and this is the one that is meant.
func (s *stdio) Read(b []byte) (int, error) { return s.Reader.Read(b) }

func (s *stdio) Write(b []byte) (int, error) { return s.out.Write(b) }

func (s *stdio) Close() error {
	s.in.Close()
	return s.out.Close()
}

func (s *stdio) LocalAddr() net.Addr  { return channel{} }
func (s *stdio) RemoteAddr() net.Addr { return channel{} }

// A peer that says nothing is hung up on by whoever carries the connection.
func (s *stdio) SetDeadline(time.Time) error      { return nil }
func (s *stdio) SetReadDeadline(time.Time) error  { return nil }
func (s *stdio) SetWriteDeadline(time.Time) error { return nil }

// channel is the address of what has none.
type channel struct{}

func (channel) Network() string { return "sbx" }
func (channel) String() string  { return "host" }

var (
	_ net.Conn      = (*stdio)(nil)
	_ io.ReadWriter = (*stdio)(nil)
)

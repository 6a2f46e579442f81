package link

import (
	"errors"
	"net"
	"syscall"
)

// pairFraming is a pair of datagram sockets of which the guest has the other end: one datagram a frame.
type pairFraming struct {
	conn net.Conn
	buf  []byte
	out  []byte
}

// NewPair reads and writes frames on one end of a pair.
func NewPair(conn net.Conn) *pairFraming {
	return &pairFraming{conn: conn, buf: make([]byte, MaxFrame)}
}

func (p *pairFraming) ReadFrame() ([]byte, error) {
	n, err := p.conn.Read(p.buf)
	return p.buf[:n], err
}

func (p *pairFraming) WriteFrames(frames []Parts) error {
	for _, frame := range frames {
		p.out = p.out[:0]
		for _, part := range frame.parts {
			p.out = append(p.out, part...)
		}
		// ENOBUFS is the socket's way of dropping a frame, as a busy switch would.
		if _, err := p.conn.Write(p.out); err != nil && !errors.Is(err, syscall.ENOBUFS) {
			return err
		}
	}
	return nil
}

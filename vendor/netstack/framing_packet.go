package main

import "net"

// packetFraming is vfkit's: one datagram a frame.
type packetFraming struct {
	conn datagramConn
	buf  []byte
	out  []byte
}

// datagramConn is a socket that the guest was heard on first. It stays open to whoever finds its path, so
// that each datagram's sender is looked at.
type datagramConn interface {
	ReadFromUnix([]byte) (int, *net.UnixAddr, error)
	RemoteAddr() net.Addr
	Write([]byte) (int, error)
}

func newPacketFraming(conn datagramConn) *packetFraming {
	return &packetFraming{conn: conn, buf: make([]byte, maxFrame)}
}

func (p *packetFraming) readFrame() ([]byte, error) {
	guest := p.conn.RemoteAddr().String()
	for {
		n, from, err := p.conn.ReadFromUnix(p.buf)
		if err != nil {
			return nil, err
		}
		if from != nil && from.String() == guest && n >= minFrame { // vfkit's greeting is shorter
			return p.buf[:n], nil
		}
	}
}

func (p *packetFraming) writeFrames(frames []frameParts) error {
	for _, frame := range frames {
		p.out = p.out[:0]
		for _, part := range frame.parts {
			p.out = append(p.out, part...)
		}
		// ENOBUFS is the socket's way of dropping a frame, as a busy switch would.
		p.conn.Write(p.out)
	}
	return nil
}

package link

import "net"

// packetFraming is vfkit's: one datagram a frame.
type packetFraming struct {
	conn DatagramConn
	buf  []byte
	out  []byte
}

// DatagramConn is a socket that the guest was heard on first. It stays open to whoever finds its path, so
// that each datagram's sender is looked at.
type DatagramConn interface {
	ReadFromUnix([]byte) (int, *net.UnixAddr, error)
	RemoteAddr() net.Addr
	Write([]byte) (int, error)
}

func NewPackets(conn DatagramConn) *packetFraming {
	return &packetFraming{conn: conn, buf: make([]byte, MaxFrame)}
}

func (p *packetFraming) ReadFrame() ([]byte, error) {
	guest := p.conn.RemoteAddr().String()
	for {
		n, from, err := p.conn.ReadFromUnix(p.buf)
		if err != nil {
			return nil, err
		}
		if from != nil && from.String() == guest && n >= MinFrame { // vfkit's greeting is shorter
			return p.buf[:n], nil
		}
	}
}

func (p *packetFraming) WriteFrames(frames []Parts) error {
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

// Package publish listens on ports of this machine for the guest.
package publish

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"sbx.dev/netstack/internal/control"
)

// Publication is a port that is to be published.
type Publication struct {
	Ref       int
	Proto     string
	Bind      string
	Port      uint16
	GuestPort uint16
}

// Guest is where published ports lead.
type Guest interface {
	// Connect judges one accepted connection and carries it until it is over.
	Connect(Publication, *net.TCPConn)
	// OpenPort opens a UDP port; `answer` sends to one of its peers.
	OpenPort(p Publication, answer func(payload []byte, peer netip.AddrPort)) Port
}

// Port is a UDP port of the guest for its peers.
type Port interface {
	// Datagram takes one, which the port may keep. Called from one goroutine.
	Datagram(peer netip.AddrPort, payload []byte)
	Close()
}

// Publisher listens for the guest: the inbound direction. A connection is accepted by the host's kernel, but
// not a byte of it reaches the guest before its verdict.
type Publisher struct {
	control *control.Channel
	guest   Guest
	mu      sync.Mutex
	open    map[int]io.Closer
}

func New(c *control.Channel, guest Guest) *Publisher {
	return &Publisher{control: c, guest: guest, open: map[int]io.Closer{}}
}

// Publish binds and reports the port, or why it cannot.
func (p *Publisher) Publish(wanted Publication) {
	bind, err := netip.ParseAddr(wanted.Bind)
	at := netip.AddrPortFrom(bind, wanted.Port)
	switch {
	case err != nil:
	case wanted.Proto == "udp":
		err = p.listenUDP(wanted, at)
	default:
		err = p.listenTCP(wanted, at)
	}
	if err != nil {
		code := "EINVAL"
		var errno syscall.Errno
		if errors.As(err, &errno) {
			code = errnoName(errno)
		}
		p.control.Tell(control.PublishFailed{T: "publish-failed", Ref: wanted.Ref, Code: code, Message: err.Error()})
	}
}

func errnoName(errno syscall.Errno) string {
	switch errno {
	case syscall.EADDRINUSE:
		return "EADDRINUSE"
	case syscall.EADDRNOTAVAIL:
		return "EADDRNOTAVAIL"
	case syscall.EACCES:
		return "EACCES"
	}
	return "EIO"
}

func (p *Publisher) Unpublish(ref int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if listener := p.open[ref]; listener != nil {
		listener.Close()
		delete(p.open, ref)
	}
}

func (p *Publisher) published(wanted Publication, listener io.Closer, bound netip.AddrPort) {
	p.mu.Lock()
	p.open[wanted.Ref] = listener
	p.mu.Unlock()
	p.control.Tell(control.Published{T: "published", Ref: wanted.Ref, Addr: bound.Addr().String(), Port: bound.Port()})
}

func (p *Publisher) listenTCP(wanted Publication, at netip.AddrPort) error {
	network := "tcp4"
	if at.Addr().Is6() {
		network = "tcp6"
	}
	listener, err := net.ListenTCP(network, net.TCPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	p.published(wanted, listener, listener.Addr().(*net.TCPAddr).AddrPort())
	go func() {
		for {
			conn, err := listener.AcceptTCP()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				time.Sleep(50 * time.Millisecond) // out of descriptors: let some go
				continue
			}
			go p.control.Guard(func() { p.guest.Connect(wanted, conn) })
		}
	}()
	return nil
}

func (p *Publisher) listenUDP(wanted Publication, at netip.AddrPort) error {
	network := "udp4"
	if at.Addr().Is6() {
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	conn.SetReadBuffer(1 << 20) // peers come in crowds
	port := p.guest.OpenPort(wanted, func(payload []byte, peer netip.AddrPort) {
		conn.WriteToUDPAddrPort(payload, peer)
	})
	p.published(wanted, udpListener{conn, port}, conn.LocalAddr().(*net.UDPAddr).AddrPort())
	go p.control.Guard(func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			port.Datagram(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), append([]byte(nil), buf[:n]...))
		}
	})
	return nil
}

type udpListener struct {
	*net.UDPConn
	port Port
}

func (l udpListener) Close() error {
	l.port.Close()
	return l.UDPConn.Close()
}

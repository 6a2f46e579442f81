package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	// guestDialTimeout is for both addresses of the guest; one that listens nowhere says so at once.
	guestDialTimeout = 10 * time.Second
)

// publisher serves published ports: the inbound direction. A connection is accepted by the host's
// kernel, but not a byte of it reaches the guest before its verdict.
type publisher struct {
	g    *gateway
	mu   sync.Mutex
	open map[int]io.Closer
	// last is the port of the gateway that stands for the latest peer of a UDP port.
	last uint16
	// udpPorts are the guest's published UDP ports, with how many listeners lead there.
	udpPorts map[uint16]int
}

func newPublisher(g *gateway) *publisher {
	return &publisher{g: g, open: map[int]io.Closer{}, udpPorts: map[uint16]int{}}
}

// publish binds and reports the port, or why it cannot.
func (p *publisher) publish(m fromSbx) {
	bind, err := netip.ParseAddr(m.Bind)
	if err == nil && m.Proto == "udp" {
		err = p.listenUDP(m, netip.AddrPortFrom(bind, m.Port))
	} else if err == nil {
		err = p.listenTCP(m, netip.AddrPortFrom(bind, m.Port))
	}
	if err != nil {
		code := "EINVAL"
		var errno syscall.Errno
		if errors.As(err, &errno) {
			code = errnoName(errno)
		}
		p.g.control.tell(publishFailedMessage{T: "publish-failed", Ref: m.Ref, Code: code, Message: err.Error()})
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

func (p *publisher) unpublish(ref int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if listener := p.open[ref]; listener != nil {
		listener.Close()
		delete(p.open, ref)
	}
}

func (p *publisher) published(m fromSbx, listener io.Closer, bound netip.AddrPort) {
	p.mu.Lock()
	p.open[m.Ref] = listener
	p.mu.Unlock()
	p.g.control.tell(publishedMessage{T: "published", Ref: m.Ref, Addr: bound.Addr().String(), Port: bound.Port()})
}

func (p *publisher) listenTCP(m fromSbx, at netip.AddrPort) error {
	network := "tcp4"
	if at.Addr().Is6() {
		network = "tcp6"
	}
	listener, err := net.ListenTCP(network, net.TCPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	p.published(m, listener, listener.Addr().(*net.TCPAddr).AddrPort())
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
			go guarded(func() { p.serve(m, conn) })
		}
	}()
	return nil
}

func (p *publisher) info(m fromSbx, peer netip.AddrPort) flowInfo {
	return flowInfo{
		Proto: m.Proto, Dir: "inbound", Ref: m.Ref,
		Src: peer.Addr().Unmap().WithZone("").String(), Sport: peer.Port(),
		Dst: p.g.addrs.guest4.String(), Dport: m.GuestPort,
	}
}

// serve judges one accepted connection and joins it to the guest.
func (p *publisher) serve(m fromSbx, conn *net.TCPConn) {
	peer := conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	f := p.g.begin(p.info(m, peer))
	if f == nil {
		tcpHalf{conn}.Abort()
		return
	}
	if verdict := p.g.decide(f); verdict.Action != actionAllow {
		p.g.forget(f)
		tcpHalf{conn}.Abort()
		return
	}
	guest, to, err := p.g.dialGuest(f)
	if err != nil {
		tcpHalf{conn}.Abort()
		p.g.finish(f, endRefused)
		return
	}
	p.g.control.tell(openedMessage{T: "opened", ID: f.id, Dial: to.String()})
	// Up is towards the upstream; inbound, that is from the guest to the peer, as outbound.
	p.g.splice(f, guest, tcpHalf{conn})
}

// dialGuest connects to the port of the guest over IPv4, which every guest has, or else over IPv6: its
// server may listen in one family only, and the peer cannot know in which.
func (g *gateway) dialGuest(f *flow) (conn *guestConn, to netip.AddrPort, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), guestDialTimeout)
	defer cancel()
	go func() {
		select {
		case <-f.gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	for _, addr := range []netip.Addr{g.addrs.guest4, g.addrs.guest6} {
		to = netip.AddrPortFrom(addr, f.info.Dport)
		if conn, err = g.connectGuest(ctx, to); err == nil {
			return conn, to, nil
		}
	}
	return nil, to, err
}

func (g *gateway) connectGuest(ctx context.Context, to netip.AddrPort) (*guestConn, error) {
	var queue waiter.Queue
	endpoint, terr := g.stack.NewEndpoint(tcp.ProtocolNumber, protocolOf(to.Addr()), &queue)
	if terr != nil {
		return nil, errors.New(terr.String())
	}
	entry, connected := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventErr | waiter.EventHUp)
	queue.EventRegister(&entry)
	defer queue.EventUnregister(&entry)
	gateway := tcpip.AddrFromSlice(g.addrs.gatewayFor(to.Addr()).AsSlice())
	terr = endpoint.Bind(tcpip.FullAddress{NIC: nicID, Addr: gateway})
	if terr == nil {
		guest := tcpip.AddrFromSlice(to.Addr().AsSlice())
		terr = endpoint.Connect(tcpip.FullAddress{NIC: nicID, Addr: guest, Port: to.Port()})
	}
	if _, started := terr.(*tcpip.ErrConnectStarted); started {
		select {
		case <-connected:
			terr = endpoint.LastError()
		case <-ctx.Done():
			terr = &tcpip.ErrTimeout{}
		}
	}
	if terr != nil {
		endpoint.Close()
		return nil, errors.New(terr.String())
	}
	return newGuestConn(&queue, endpoint), nil
}

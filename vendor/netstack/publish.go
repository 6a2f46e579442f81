package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	guestDialTimeout = 15 * time.Second
	// maxPeers bounds the peers of one published UDP port.
	maxPeers = 256
	// Ports of the gateway that stand for the peers of published UDP ports.
	firstPeerPort = 32768
)

// publisher serves published ports: the inbound direction. A connection is accepted by the host's
// kernel, but not a byte of it reaches the guest before its verdict.
type publisher struct {
	g      *gateway
	mu     sync.Mutex
	open   map[int]interface{ Close() error }
	nextPt uint16
}

func newPublisher(g *gateway) *publisher {
	return &publisher{g: g, open: map[int]interface{ Close() error }{}, nextPt: firstPeerPort}
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
		p.g.control.send(publishFailedMessage{T: "publish-failed", Ref: m.Ref, Code: code, Message: err.Error()})
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

func (p *publisher) published(m fromSbx, listener interface{ Close() error }, bound netip.AddrPort) {
	p.mu.Lock()
	p.open[m.Ref] = listener
	p.mu.Unlock()
	p.g.control.send(publishedMessage{T: "published", Ref: m.Ref, Addr: bound.Addr().String(), Port: bound.Port()})
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
	guest := p.g.addrs.guest4
	if peer.Addr().Unmap().Is6() {
		guest = p.g.addrs.guest6
	}
	return flowInfo{
		Proto: m.Proto, Dir: "inbound", Ref: m.Ref,
		Src: peer.Addr().Unmap().WithZone("").String(), Sport: peer.Port(),
		Dst: guest.String(), Dport: m.GuestPort,
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
	guest, err := p.g.dialGuest(f.info)
	if err != nil {
		tcpHalf{conn}.Abort()
		p.g.finish(f, endRefused)
		return
	}
	p.g.control.send(openedMessage{T: "opened", ID: f.id, Dial: net.JoinHostPort(f.info.Dst, portText(f.info.Dport))})
	// Up is towards the upstream; inbound, that is from the guest to the peer, as outbound.
	p.g.splice(f, guest, conn)
}

// dialGuest connects to a port of the guest from the gateway.
func (g *gateway) dialGuest(info flowInfo) (*guestConn, error) {
	guest, _ := netip.ParseAddr(info.Dst)
	gateway := g.addrs.gateway4
	if guest.Is6() {
		gateway = g.addrs.gateway6
	}
	var queue waiter.Queue
	endpoint, terr := g.stack.NewEndpoint(tcp.ProtocolNumber, protocolOf(guest), &queue)
	if terr != nil {
		return nil, errors.New(terr.String())
	}
	entry, connected := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventErr | waiter.EventHUp)
	queue.EventRegister(&entry)
	defer queue.EventUnregister(&entry)
	endpoint.Bind(tcpip.FullAddress{NIC: nicID, Addr: tcpip.AddrFromSlice(gateway.AsSlice())})
	to := tcpip.FullAddress{NIC: nicID, Addr: tcpip.AddrFromSlice(guest.AsSlice()), Port: info.Dport}
	terr = endpoint.Connect(to)
	if _, started := terr.(*tcpip.ErrConnectStarted); started {
		ctx, cancel := context.WithTimeout(context.Background(), guestDialTimeout)
		defer cancel()
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
	return &guestConn{TCPConn: gonet.NewTCPConn(&queue, endpoint), endpoint: endpoint, queue: &queue}, nil
}

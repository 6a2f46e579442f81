package gateway

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/dial"
	"sbx.dev/netstack/internal/flow"
	"sbx.dev/netstack/internal/publish"
)

// guestDialTimeout is for both addresses of the guest, and for the question and the dial that may follow;
// one that listens nowhere says so at once.
const guestDialTimeout = 10 * time.Second

// errUnheard is of a dial that the guest's kernel refused, or that found no address of its family there: no
// server listens. One that timed out proves nothing.
var errUnheard = errors.New("nobody listens")

// inbound describes a flow that somebody opens to a published port.
func (g *Gateway) inbound(p publish.Publication, peer netip.AddrPort) control.FlowInfo {
	return control.FlowInfo{
		Proto: p.Proto, Dir: "inbound", Ref: p.Ref,
		Src: peer.Addr().Unmap().WithZone("").String(), Sport: peer.Port(),
		Dst: g.addrs.Guest4.String(), Dport: p.GuestPort,
	}
}

// Connect judges one accepted connection and joins it to the guest.
func (g *Gateway) Connect(p publish.Publication, conn *net.TCPConn) {
	peer := conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	f := g.begin(g.inbound(p, peer))
	if f == nil {
		dial.Half{TCPConn: conn}.Abort()
		return
	}
	if verdict := g.decide(f, control.Allow); verdict.Action != control.Allow {
		g.forget(f)
		dial.Half{TCPConn: conn}.Abort()
		return
	}
	guest, to, err := g.dialGuest(f)
	if err != nil {
		dial.Half{TCPConn: conn}.Abort()
		g.finish(f, control.EndRefused)
		return
	}
	g.opened(f, to.String())
	// Up is towards the upstream; inbound, that is from the guest to the peer, as outbound.
	g.splice(f, guest, dial.Half{TCPConn: conn})
}

// dialGuest connects to the port of the guest over IPv4, which every guest has, or else over IPv6: its
// server may listen in one family only, and the peer cannot know in which. Where it listens in neither, sbx
// may know a port that leads to it.
func (g *Gateway) dialGuest(f *flow.Flow) (conn *guestConn, to netip.AddrPort, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), guestDialTimeout)
	defer cancel()
	go func() {
		select {
		case <-f.Gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	unheard := true
	for _, addr := range []netip.Addr{g.addrs.Guest4, g.addrs.Guest6} {
		to = netip.AddrPortFrom(addr, f.Info.Dport)
		if conn, err = g.connectGuest(ctx, to); err == nil {
			return conn, to, nil
		}
		unheard = unheard && errors.Is(err, errUnheard)
	}
	if !unheard {
		return nil, to, err
	}
	if port := g.otherPort(ctx, f); port != 0 {
		to = netip.AddrPortFrom(g.addrs.Guest4, port)
		conn, err = g.connectGuest(ctx, to)
	}
	return conn, to, err
}

// otherPort asks sbx for the port of the guest that leads to a server which only the guest itself can reach;
// 0 is none. Whatever the answer, it is a port of the guest that is dialled.
func (g *Gateway) otherPort(ctx context.Context, f *flow.Flow) uint16 {
	answer, err := g.control.Exchange(f.ID, control.Unheard{T: "unheard", ID: f.ID}, nil, ctx.Done())
	if err != nil || answer.T != "reach" {
		return 0
	}
	return answer.Port
}

func (g *Gateway) connectGuest(ctx context.Context, to netip.AddrPort) (*guestConn, error) {
	var queue waiter.Queue
	endpoint, terr := g.stack.NewEndpoint(tcp.ProtocolNumber, protocolOf(to.Addr()), &queue)
	if terr != nil {
		return nil, errors.New(terr.String())
	}
	entry, connected := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventErr | waiter.EventHUp)
	queue.EventRegister(&entry)
	defer queue.EventUnregister(&entry)
	gateway := tcpip.AddrFromSlice(g.addrs.GatewayFor(to.Addr()).AsSlice())
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
	if terr == nil {
		return g.newGuestConn(&queue, endpoint), nil
	}
	endpoint.Close()
	switch terr.(type) {
	case *tcpip.ErrConnectionRefused, *tcpip.ErrHostUnreachable:
		return nil, errUnheard
	}
	return nil, errors.New(terr.String())
}

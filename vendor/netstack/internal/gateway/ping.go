package gateway

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/icmp"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/dial"
	"sbx.dev/netstack/internal/flow"
	"sbx.dev/netstack/internal/link"
)

const (
	maxPings     = 32
	pingIdle     = 30 * time.Second
	maxPingBytes = 8 << 10
	echoHeader   = 8
)

// pingKey is one `ping` of the guest: its destination and the identifier it chose.
type pingKey struct {
	source, dest tcpip.Address
	ident        uint16
}

// pingFlow is one echo exchange. The host's kernel chooses the identifier on the wire, so replies get
// the guest's own back.
type pingFlow struct {
	flow  *flow.Flow
	conn  net.PacketConn
	to    net.Addr
	raw   uint16 // identifier on a raw socket; zero on a ping socket
	ready bool
	// denied stays in the table, so that the pings after it are no news.
	denied bool
	seen   time.Time
}

// pingTable relays ICMP echo. All other ICMP of the guest ends here.
type pingTable struct {
	g    *Gateway
	mu   sync.Mutex
	live map[pingKey]*pingFlow
}

func newPingTable(g *Gateway) *pingTable {
	t := &pingTable{g: g, live: map[pingKey]*pingFlow{}}
	go t.expire()
	return t
}

// handle4 and handle6 are called by the stack for ICMP messages to any address.
func (t *pingTable) handle4(id stack.TransportEndpointID, packet *stack.PacketBuffer) bool {
	return t.handle(id, packet, uint8(header.ICMPv4Echo), "icmpv4")
}

func (t *pingTable) handle6(id stack.TransportEndpointID, packet *stack.PacketBuffer) bool {
	return t.handle(id, packet, uint8(header.ICMPv6EchoRequest), "icmpv6")
}

func (t *pingTable) handle(id stack.TransportEndpointID, packet *stack.PacketBuffer, request uint8, proto string) bool {
	dest := addrOf(id.LocalAddress)
	if dest == t.g.addrs.Gateway4 || dest == t.g.addrs.Gateway6 || dest == link.GatewayLinkLocal {
		return false // the stack answers for itself
	}
	message := append(packet.TransportHeader().View().ToSlice(), packet.Data().AsRange().ToSlice()...)
	if len(message) < echoHeader || len(message) > maxPingBytes || message[0] != request || message[1] != 0 {
		return true
	}
	key := pingKey{id.RemoteAddress, id.LocalAddress, binary.BigEndian.Uint16(message[4:])}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.live[key]
	if p == nil {
		if t.g.overloaded() {
			return true
		}
		if len(t.live) >= maxPings {
			t.makeRoom()
		}
		info := outbound(proto, id)
		info.Sport, info.Dport = 0, 0
		f := t.g.begin(info)
		if f == nil {
			return true
		}
		p = &pingFlow{flow: f, seen: time.Now()}
		t.live[key] = p
		go t.g.control.Guard(func() { t.settle(key, p, message) })
		return true
	}
	p.seen = time.Now()
	if p.ready {
		p.send(message)
	}
	return true
}

// makeRoom ends the ping that was idle longest. Called with the lock held.
func (t *pingTable) makeRoom() {
	var oldest *pingFlow
	var at pingKey
	for key, p := range t.live {
		if oldest == nil || p.seen.Before(oldest.seen) {
			oldest, at = p, key
		}
	}
	delete(t.live, at)
	oldest.flow.Abort(control.EndIdle)
}

// settle gets the verdict and carries it out until the flow is ended from outside.
func (t *pingTable) settle(key pingKey, p *pingFlow, first []byte) {
	verdict := t.g.decide(p.flow, control.Allow)
	if verdict.Action != control.Allow {
		t.g.forget(p.flow)
		t.mu.Lock()
		p.denied = true
		t.mu.Unlock()
		if verdict.Reject {
			id := stack.TransportEndpointID{LocalAddress: key.dest, RemoteAddress: key.source}
			t.g.sendUnreachable(fakeQuote(key, first), id, unreachableAdmin)
		}
		return
	}
	end := t.relay(key, p, verdict, first)
	t.mu.Lock()
	if t.live[key] == p {
		delete(t.live, key)
	}
	t.mu.Unlock()
	t.g.finish(p.flow, end)
}

// relay sends the first ping, and answers those that come until the flow is over.
func (t *pingTable) relay(key pingKey, p *pingFlow, verdict control.Message, first []byte) (end string) {
	p.flow.Implicit.Store(verdict.Dial == "")
	to, err := t.g.guard.DialTarget(verdict, p.flow.Info)
	if err != nil {
		return guardEnd(err)
	}
	conn, address, raw, err := listenEcho(to.Addr(), verdict.Dial != "")
	if err != nil {
		t.g.flows.Limit("ping-unavailable")
		return control.EndUnreachable
	}
	defer conn.Close()
	t.mu.Lock()
	p.conn, p.to, p.raw, p.ready = conn, address, raw, true
	t.mu.Unlock()
	t.g.opened(p.flow, to.Addr().String())
	p.send(first)
	go t.g.control.Guard(func() { t.receive(key, p) })
	<-p.flow.Gone
	return control.EndKilled
}

// listenEcho opens an unprivileged ping socket, or a raw one where only that is permitted.
func listenEcho(to netip.Addr, broadcast bool) (net.PacketConn, net.Addr, uint16, error) {
	ping, raw, any := "udp4", "ip4:icmp", "0.0.0.0"
	if to.Is6() {
		ping, raw, any = "udp6", "ip6:ipv6-icmp", "::"
	}
	if conn, err := icmp.ListenPacket(ping, any); err == nil {
		return conn, &net.UDPAddr{IP: to.AsSlice()}, 0, nil
	}
	listener := net.ListenConfig{}
	if !broadcast {
		listener.Control = dial.NoBroadcast
	}
	conn, err := listener.ListenPacket(context.Background(), raw, any)
	return conn, &net.IPAddr{IP: to.AsSlice()}, uint16(time.Now().UnixNano()) | 1, err
}

func (p *pingFlow) send(message []byte) {
	out := append([]byte(nil), message...)
	if p.raw != 0 {
		binary.BigEndian.PutUint16(out[4:], p.raw)
	}
	out[2], out[3] = 0, 0
	if out[0] == uint8(header.ICMPv4Echo) {
		header.ICMPv4(out).SetChecksum(header.ICMPv4Checksum(out, 0))
	} // the kernel fills in ICMPv6 checksums
	if n, err := p.conn.WriteTo(out, p.to); err == nil {
		p.flow.Up.Add(int64(n))
	}
}

func (t *pingTable) receive(key pingKey, p *pingFlow) {
	reply, want := uint8(header.ICMPv4EchoReply), addrOf(key.dest)
	if want.Is6() {
		reply = uint8(header.ICMPv6EchoReply)
	}
	buf := make([]byte, maxPingBytes+64)
	for {
		n, from, err := p.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		message := buf[:n]
		if n < echoHeader || message[0] != reply || !sameHost(from, p.to) ||
			p.raw != 0 && binary.BigEndian.Uint16(message[4:]) != p.raw {
			continue
		}
		t.mu.Lock()
		p.seen = time.Now()
		t.mu.Unlock()
		p.flow.Down.Add(int64(n))
		t.answer(key, append([]byte(nil), message...))
	}
}

// answer gives the guest its reply, with its own identifier.
func (t *pingTable) answer(key pingKey, message []byte) {
	binary.BigEndian.PutUint16(message[4:], key.ident)
	message[2], message[3] = 0, 0
	if addrOf(key.dest).Is4() {
		header.ICMPv4(message).SetChecksum(header.ICMPv4Checksum(message, 0))
		t.g.writePacket(ipv4.ProtocolNumber, header.ICMPv4ProtocolNumber, key.dest, key.source, message)
		return
	}
	header.ICMPv6(message).SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{
		Header: message, Src: key.dest, Dst: key.source,
	}))
	t.g.writePacket(ipv6.ProtocolNumber, header.ICMPv6ProtocolNumber, key.dest, key.source, message)
}

func sameHost(a, b net.Addr) bool {
	return hostOf(a) == hostOf(b)
}

func hostOf(addr net.Addr) netip.Addr {
	var ip net.IP
	switch a := addr.(type) {
	case *net.UDPAddr:
		ip = a.IP
	case *net.IPAddr:
		ip = a.IP
	}
	host, _ := netip.AddrFromSlice(ip)
	return host.Unmap()
}

// fakeQuote rebuilds the head of an echo request for an ICMP error about it.
func fakeQuote(key pingKey, message []byte) []byte {
	if addrOf(key.dest).Is4() {
		quote := make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+8)
		header.IPv4(quote).Encode(&header.IPv4Fields{
			TotalLength: uint16(header.IPv4MinimumSize + len(message)), TTL: 64,
			Protocol: uint8(header.ICMPv4ProtocolNumber), SrcAddr: key.source, DstAddr: key.dest,
		})
		return append(quote, message[:8]...)
	}
	quote := make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+8)
	header.IPv6(quote).Encode(&header.IPv6Fields{
		PayloadLength: uint16(len(message)), TransportProtocol: header.ICMPv6ProtocolNumber,
		HopLimit: 64, SrcAddr: key.source, DstAddr: key.dest,
	})
	return append(quote, message[:8]...)
}

func (t *pingTable) expire() {
	for range time.Tick(5 * time.Second) {
		t.mu.Lock()
		for key, p := range t.live {
			if time.Since(p.seen) > pingIdle {
				delete(t.live, key)
				p.flow.Abort(control.EndIdle)
			}
		}
		t.mu.Unlock()
	}
}

// flushDenied forgets denied pings: a new policy may allow them.
func (t *pingTable) flushDenied() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, p := range t.live {
		if p.denied {
			delete(t.live, key)
		}
	}
}

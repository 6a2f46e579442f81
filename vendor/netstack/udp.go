package main

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	// A flow that was never answered is forgotten sooner (RFC 4787 4.3 asks for two minutes of what
	// is in use; DNS-like exchanges need no more than this).
	udpUnanswered = 30 * time.Second
	udpAnswered   = 120 * time.Second
	// udpDenied keeps a denied flow quiet; the next datagram after it asks again.
	udpDenied = 10 * time.Second
	// maxUDP bounds the table; the longest idle flow makes room.
	maxUDP = 1024
	// What may wait for a verdict, per flow.
	maxHeldDatagrams = 8
	maxHeldBytes     = 64 << 10
	maxDatagram      = 65535
)

// udpState of a flow: asked until the verdict, then exactly one of the others.
type udpState int

const (
	udpAsked udpState = iota
	udpAllowed
	udpRedirected
	udpDropped
	udpRejected
)

// udpFlow is an exchange between one guest port and one destination.
type udpFlow struct {
	id       stack.TransportEndpointID
	flow     *flow
	state    udpState
	held     [][]byte
	heldSize int
	quote    []byte // of the latest datagram, for ICMP errors
	conn     *net.UDPConn
	stream   *muxDatagrams
	peer     func([]byte) // where an inbound flow's answers go
	seen     time.Time
	answered bool
}

// udpTable holds the guest's UDP flows by their four-tuple.
type udpTable struct {
	g    *gateway
	mu   sync.Mutex
	live map[stack.TransportEndpointID]*udpFlow
}

func newUDPTable(g *gateway) *udpTable {
	t := &udpTable{g: g, live: map[stack.TransportEndpointID]*udpFlow{}}
	go t.expire()
	return t
}

// handle is called by the stack for every datagram, on its receiving goroutine: nothing in it waits.
func (t *udpTable) handle(id stack.TransportEndpointID, packet *stack.PacketBuffer) bool {
	payload := packet.Data().AsRange().ToSlice()
	t.mu.Lock()
	u := t.live[id]
	if u == nil {
		u = t.admit(id)
		if u == nil {
			t.mu.Unlock()
			return true
		}
	}
	u.seen = time.Now()
	switch u.state {
	case udpAsked:
		if len(u.held) < maxHeldDatagrams && u.heldSize+len(payload) <= maxHeldBytes {
			u.held = append(u.held, payload)
			u.heldSize += len(payload)
		}
		u.quote = quoteOf(packet)
		t.mu.Unlock()
	case udpRejected:
		quote := quoteOf(packet)
		t.mu.Unlock()
		t.g.sendUnreachable(quote, id, unreachableAdmin)
	case udpDropped:
		t.mu.Unlock()
	default:
		u.quote = quoteOf(packet)
		t.mu.Unlock()
		u.send(t.g, payload)
	}
	return true
}

// admit makes room for a new flow and asks about it. Called with the lock held.
func (t *udpTable) admit(id stack.TransportEndpointID) *udpFlow {
	if len(t.live) >= maxUDP {
		t.evict()
	}
	f := t.g.begin(outbound("udp", id))
	if f == nil {
		return nil
	}
	u := &udpFlow{id: id, flow: f, seen: time.Now()}
	t.live[id] = u
	go guarded(func() { t.settle(u) })
	return u
}

// evict ends the flow that has been idle longest.
func (t *udpTable) evict() {
	var oldest *udpFlow
	for _, u := range t.live {
		if oldest == nil || u.seen.Before(oldest.seen) {
			oldest = u
		}
	}
	if oldest != nil {
		t.g.flows.limit("udp")
		t.remove(oldest, endIdle)
	}
}

// settle gets the verdict and lets go of what was held.
func (t *udpTable) settle(u *udpFlow) {
	verdict := t.g.decide(u.flow)
	var conn *net.UDPConn
	var stream *muxDatagrams
	state, end := udpDropped, ""
	switch verdict.Action {
	case actionAllow, actionInspect: // a datagram flow states no name that netstack reads
		if verdict.Action == actionInspect {
			break
		}
		conn, end = t.g.dialUDP(u.flow, verdict)
		if end == "" {
			state = udpAllowed
		}
	case actionRedirect:
		state = udpRedirected
		stream = t.g.mux.openDatagrams(u.flow, func(payload []byte) { t.reply(u, payload) })
	case actionDeny:
		if verdict.Reject {
			state = udpRejected
		}
	}
	t.mu.Lock()
	u.state, u.conn, u.stream = state, conn, stream
	held, quote := u.held, u.quote
	u.held, u.heldSize = nil, 0
	t.mu.Unlock()
	switch state {
	case udpDropped, udpRejected:
		if end != "" {
			t.g.finish(u.flow, end)
		} else {
			t.g.forget(u.flow)
		}
		if state == udpRejected && quote != nil {
			t.g.sendUnreachable(quote, u.id, unreachableAdmin)
		}
		if end == endUnreachable && quote != nil {
			t.g.sendUnreachable(quote, u.id, unreachableHost)
		}
		return
	case udpAllowed:
		go guarded(func() { t.receive(u) })
	}
	for _, payload := range held {
		u.send(t.g, payload)
	}
	<-u.flow.gone
	t.mu.Lock()
	t.remove(u, endKilled)
	t.mu.Unlock()
}

func (g *gateway) dialUDP(f *flow, verdict fromSbx) (*net.UDPConn, string) {
	addr, _ := netip.ParseAddr(f.info.Dst)
	to, err := g.guard.dialTarget(verdict, netip.AddrPortFrom(addr, f.info.Dport))
	if err != nil {
		return nil, endGuard
	}
	// Connected, so that the kernel keeps strangers' datagrams away and reports errors.
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return nil, dialEnd(err)
	}
	g.control.send(openedMessage{T: "opened", ID: f.id, Dial: to.String()})
	return conn, ""
}

// send passes one datagram of the guest on. A full socket drops it, as a full network would.
func (u *udpFlow) send(g *gateway, payload []byte) {
	switch {
	case u.peer != nil:
		u.flow.up.Add(int64(len(payload)))
		u.peer(payload)
	case u.stream != nil:
		u.flow.up.Add(int64(len(payload)))
		u.stream.send(payload)
	case u.conn != nil:
		n, err := u.conn.Write(payload)
		u.flow.up.Add(int64(n))
		if errors.Is(err, syscall.ECONNREFUSED) {
			g.refused(u)
		}
	}
}

// refused passes a port unreachable on to the guest.
func (g *gateway) refused(u *udpFlow) {
	g.udp.mu.Lock()
	quote := u.quote
	g.udp.mu.Unlock()
	if quote != nil {
		g.sendUnreachable(quote, u.id, unreachablePort)
	}
}

// receive copies the destination's datagrams to the guest until the flow ends.
func (t *udpTable) receive(u *udpFlow) {
	buf := make([]byte, maxDatagram)
	for failures := 0; failures < 4; {
		n, err := u.conn.Read(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, syscall.ECONNREFUSED):
			failures++
			t.g.refused(u)
		case err != nil:
			failures++
		default:
			failures = 0
			t.reply(u, buf[:n])
		}
	}
	u.flow.abort(endRefused)
}

// reply sends a datagram to the guest as if it came from the flow's destination.
func (t *udpTable) reply(u *udpFlow, payload []byte) {
	t.mu.Lock()
	u.seen, u.answered = time.Now(), true
	t.mu.Unlock()
	u.flow.down.Add(int64(len(payload)))
	t.g.writeUDP(u.id, payload)
}

// writeUDP builds a datagram from id's local end to the guest; the stack fragments it if need be.
func (g *gateway) writeUDP(id stack.TransportEndpointID, payload []byte) {
	source, guest := id.LocalAddress, id.RemoteAddress
	route, err := g.stack.FindRoute(nicID, source, guest, protocolOf(addrOf(guest)), false)
	if err != nil {
		return
	}
	defer route.Release()
	size := header.UDPMinimumSize + len(payload)
	if size > maxDatagram {
		return
	}
	packet := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: header.UDPMinimumSize + int(route.MaxHeaderLength()),
		Payload:            buffer.MakeWithData(payload),
	})
	defer packet.DecRef()
	datagram := header.UDP(packet.TransportHeader().Push(header.UDPMinimumSize))
	packet.TransportProtocolNumber = header.UDPProtocolNumber
	datagram.Encode(&header.UDPFields{SrcPort: id.LocalPort, DstPort: id.RemotePort, Length: uint16(size)})
	sum := route.PseudoHeaderChecksum(header.UDPProtocolNumber, uint16(size))
	sum = checksum.Combine(sum, packet.Data().Checksum())
	datagram.SetChecksum(^datagram.CalculateChecksum(sum))
	route.WritePacket(stack.NetworkHeaderParams{Protocol: header.UDPProtocolNumber, TTL: 64}, packet)
}

// remove ends a flow. Called with the lock held.
func (t *udpTable) remove(u *udpFlow, end string) {
	if t.live[u.id] == u {
		delete(t.live, u.id)
	}
	if u.conn != nil {
		u.conn.Close()
	}
	if u.stream != nil {
		u.stream.Close()
	}
	if u.state == udpDropped || u.state == udpRejected {
		t.g.forget(u.flow)
		return
	}
	go t.g.finish(u.flow, end) // the lock is held, and finish waits for nobody else's
	u.flow.abort(end)
}

// expire ends idle flows.
func (t *udpTable) expire() {
	for range time.Tick(2 * time.Second) {
		now := time.Now()
		t.mu.Lock()
		for _, u := range t.live {
			limit := udpUnanswered
			switch {
			case u.state == udpDropped, u.state == udpRejected:
				limit = udpDenied
			case u.answered:
				limit = udpAnswered
			}
			if now.Sub(u.seen) > limit {
				t.remove(u, endIdle)
			}
		}
		t.mu.Unlock()
	}
}

// flushDenied forgets denied flows: a new policy may allow them.
func (t *udpTable) flushDenied() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, u := range t.live {
		if u.state == udpDropped || u.state == udpRejected {
			t.remove(u, endDenied)
		}
	}
}

// udpEndpoint names a flow by the guest's and the other side's endpoints.
func udpEndpoint(other, guest netip.AddrPort) stack.TransportEndpointID {
	return stack.TransportEndpointID{
		LocalAddress: tcpip.AddrFromSlice(other.Addr().AsSlice()), LocalPort: other.Port(),
		RemoteAddress: tcpip.AddrFromSlice(guest.Addr().AsSlice()), RemotePort: guest.Port(),
	}
}

package gateway

import (
	"net/netip"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/link"
	"sbx.dev/netstack/internal/publish"
)

const (
	// maxPeers bounds the peers of one published UDP port.
	maxPeers = 256
	// Ports of the gateway from here on stand for peers.
	firstPeerPort = 32768
)

// inboundPort is a published UDP port. Each peer gets a port of the gateway of its own, so that the guest
// tells peers apart and can only answer those who wrote first.
type inboundPort struct {
	table  *udpTable
	p      publish.Publication
	answer func(payload []byte, peer netip.AddrPort)
	peers  map[netip.AddrPort]*udpFlow // belongs to the goroutine that brings datagrams
	// six says that the guest's server was found on its IPv6 address last. New peers begin where the others
	// went: a guest's kernel tells only so many a second that nobody listens.
	six atomic.Bool
}

// OpenPort opens a published UDP port.
func (g *Gateway) OpenPort(p publish.Publication, answer func([]byte, netip.AddrPort)) publish.Port {
	g.udp.mu.Lock()
	defer g.udp.mu.Unlock()
	g.udp.published[p.GuestPort]++
	return &inboundPort{table: g.udp, p: p, answer: answer, peers: map[netip.AddrPort]*udpFlow{}}
}

func (port *inboundPort) Close() {
	port.table.mu.Lock()
	defer port.table.mu.Unlock()
	port.table.published[port.p.GuestPort]--
}

func (port *inboundPort) Datagram(peer netip.AddrPort, payload []byte) {
	if u := port.flowOf(peer); u != nil {
		port.table.fromPeer(u, payload)
	}
}

// flowOf is the flow of a peer, begun if there is none; nil when a limit refuses it.
func (port *inboundPort) flowOf(peer netip.AddrPort) *udpFlow {
	if u := port.peers[peer]; u != nil && !u.flow.Over() {
		return u
	}
	if len(port.peers) >= maxPeers {
		port.makeRoom()
	}
	table := port.table
	f := table.g.begin(table.g.inbound(port.p, peer))
	if f == nil {
		return nil
	}
	now := time.Now()
	u := &udpFlow{flow: f, seen: now, spoke: now, six: &port.six}
	u.peer = func(payload []byte) { port.answer(payload, peer) }
	port.peers[peer] = u
	table.mu.Lock()
	id4, id6 := table.standIn(f.Info)
	if u.id = id4; port.six.Load() {
		u.id = id6
	}
	table.live[u.id] = u
	table.mu.Unlock()
	go table.g.control.Guard(func() { table.settleInbound(u) })
	return u
}

// makeRoom forgets the peers whose flows are over, or else the one that was silent longest. What the guest
// answers does not count: its answers to a crowd that waited for verdicts come late, all at once.
func (port *inboundPort) makeRoom() {
	table := port.table
	table.mu.Lock()
	defer table.mu.Unlock()
	var oldest netip.AddrPort
	for peer, u := range port.peers {
		if u.flow.Over() {
			delete(port.peers, peer)
		} else if first := port.peers[oldest]; first == nil || u.spoke.Before(first.spoke) {
			oldest = peer
		}
	}
	if len(port.peers) >= maxPeers {
		port.peers[oldest].flow.Abort(control.EndIdle)
		delete(port.peers, oldest)
	}
}

// standIn finds a port of the gateway that stands for nobody yet, in neither family. Called with the
// table locked; it has far fewer flows than there are ports.
func (t *udpTable) standIn(info control.FlowInfo) (id4, id6 stack.TransportEndpointID) {
	for {
		t.lastPeer = max(t.lastPeer+1, firstPeerPort)
		id4, id6 = t.g.peerIDs(t.lastPeer, info.Dport)
		if t.live[id4] == nil && t.live[id6] == nil {
			return id4, id6
		}
	}
}

// peerIDs are the two names that the flow of a peer can have in the guest.
func (g *Gateway) peerIDs(standIn, guestPort uint16) (id4, id6 stack.TransportEndpointID) {
	return link.UDPFlow(netip.AddrPortFrom(g.addrs.Gateway4, standIn), netip.AddrPortFrom(g.addrs.Guest4, guestPort)),
		link.UDPFlow(netip.AddrPortFrom(g.addrs.Gateway6, standIn), netip.AddrPortFrom(g.addrs.Guest6, guestPort))
}

// isLate tells whether a datagram answers a peer that was forgotten: it is from a published port, to the
// stand-in of nobody. It would be a denied flow otherwise, and news to nobody. Called with the lock held.
func (t *udpTable) isLate(id stack.TransportEndpointID) bool {
	to := addrOf(id.LocalAddress)
	if id.LocalPort < firstPeerPort || to != t.g.addrs.Gateway4 && to != t.g.addrs.Gateway6 {
		return false
	}
	return t.published[id.RemotePort] > 0
}

// fromPeer passes one datagram of a peer on, or keeps it until the verdict.
func (t *udpTable) fromPeer(u *udpFlow, payload []byte) {
	t.mu.Lock()
	u.seen = time.Now()
	u.spoke = u.seen
	if u.state == udpAsked {
		u.hold(payload)
	}
	allowed := u.state == udpAllowed
	t.mu.Unlock()
	if allowed {
		t.toGuest(u, payload)
	}
}

// settleInbound gets the verdict on a peer and delivers what it sent meanwhile.
func (t *udpTable) settleInbound(u *udpFlow) {
	verdict := t.g.decide(u.flow, control.Allow)
	t.mu.Lock()
	u.state = udpDropped
	if verdict.Action == control.Allow {
		u.state = udpAllowed
	}
	held := u.release()
	dial := u.id.RemoteAddress
	t.mu.Unlock()
	if u.flow.Over() {
		t.drop(u)
		return
	}
	if verdict.Action != control.Allow {
		t.g.forget(u.flow)
		return
	}
	to := netip.AddrPortFrom(addrOf(dial), u.flow.Info.Dport)
	t.g.opened(u.flow, to.String())
	for _, payload := range held {
		t.toGuest(u, payload)
	}
	<-u.flow.Gone
	t.drop(u)
}

// toGuest delivers a peer's datagram. Until the guest answers, the latest is kept for its other address.
func (t *udpTable) toGuest(u *udpFlow, payload []byte) {
	t.mu.Lock()
	id := u.id
	if u.latest = nil; !u.answered && !u.moved {
		u.latest = payload
	}
	t.mu.Unlock()
	u.flow.Down.Add(int64(len(payload)))
	t.g.writeUDP(id, payload)
}

// undelivered takes the guest's word that nobody listens on a port. The server that a peer wants may
// listen in the other family only: its flow moves there once, with the datagram that came back. When that
// comes back as well, sbx is told.
func (t *udpTable) undelivered(id stack.TransportEndpointID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.live[id]
	if u != nil && u.moved && !u.answered && !u.nobody {
		u.nobody = true
		t.g.control.Tell(control.Unheard{T: "unheard", ID: u.flow.ID})
	}
	if u == nil || u.latest == nil || u.moved {
		return
	}
	payload := u.latest
	delete(t.live, id)
	id4, other := t.g.peerIDs(id.LocalPort, id.RemotePort)
	if id != id4 {
		other = id4
	}
	u.id, u.moved, u.latest = other, true, nil
	u.six.Store(other != id4)
	t.live[other] = u
	go t.g.control.Guard(func() { t.g.writeUDP(other, payload) })
}

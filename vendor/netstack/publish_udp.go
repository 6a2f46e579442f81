package main

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	// maxPeers bounds the peers of one published UDP port.
	maxPeers = 256
	// Ports of the gateway from here on stand for peers.
	firstPeerPort = 32768
)

// udpPort is a published UDP port. Each peer gets a port of the gateway of its own, so that the guest
// tells peers apart and can only answer those who wrote first.
type udpPort struct {
	p     *publisher
	m     fromSbx
	conn  *net.UDPConn
	peers map[netip.AddrPort]*udpFlow // belongs to the goroutine that reads conn
	// six says that the guest's server was found on its IPv6 address last. New peers begin where the others
	// went: a guest's kernel tells only so many a second that nobody listens.
	six atomic.Bool
}

func (p *publisher) listenUDP(m fromSbx, at netip.AddrPort) error {
	network := "udp4"
	if at.Addr().Is6() {
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	conn.SetReadBuffer(1 << 20) // peers come in crowds
	p.published(m, udpListener{conn, p, m.GuestPort}, conn.LocalAddr().(*net.UDPAddr).AddrPort())
	p.mu.Lock()
	p.udpPorts[m.GuestPort]++
	p.mu.Unlock()
	port := &udpPort{p: p, m: m, conn: conn, peers: map[netip.AddrPort]*udpFlow{}}
	go guarded(port.receive)
	return nil
}

// udpListener is closed under the publisher's lock.
type udpListener struct {
	*net.UDPConn
	p         *publisher
	guestPort uint16
}

func (l udpListener) Close() error {
	l.p.udpPorts[l.guestPort]--
	return l.UDPConn.Close()
}

func (port *udpPort) receive() {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := port.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if u := port.flowOf(netip.AddrPortFrom(from.Addr().Unmap(), from.Port())); u != nil {
			port.p.g.udp.fromPeer(u, append([]byte(nil), buf[:n]...))
		}
	}
}

// flowOf is the flow of a peer, begun if there is none; nil when a limit refuses it.
func (port *udpPort) flowOf(peer netip.AddrPort) *udpFlow {
	if u := port.peers[peer]; u != nil && !u.flow.over() {
		return u
	}
	if len(port.peers) >= maxPeers {
		port.makeRoom()
	}
	f := port.p.g.begin(port.p.info(port.m, peer))
	if f == nil {
		return nil
	}
	table := port.p.g.udp
	now := time.Now()
	u := &udpFlow{flow: f, seen: now, spoke: now, six: &port.six}
	u.peer = func(answer []byte) { port.conn.WriteToUDPAddrPort(answer, peer) }
	port.peers[peer] = u
	table.mu.Lock()
	id4, id6 := port.p.standIn(table, f.info)
	if u.id = id4; port.six.Load() {
		u.id = id6
	}
	table.live[u.id] = u
	table.mu.Unlock()
	go guarded(func() { table.settleInbound(u) })
	return u
}

// makeRoom forgets the peers whose flows are over, or else the one that was silent longest. What the guest
// answers does not count: its answers to a crowd that waited for verdicts come late, all at once.
func (port *udpPort) makeRoom() {
	table := port.p.g.udp
	table.mu.Lock()
	defer table.mu.Unlock()
	var oldest netip.AddrPort
	for peer, u := range port.peers {
		if u.flow.over() {
			delete(port.peers, peer)
		} else if first := port.peers[oldest]; first == nil || u.spoke.Before(first.spoke) {
			oldest = peer
		}
	}
	if len(port.peers) >= maxPeers {
		port.peers[oldest].flow.abort(endIdle)
		delete(port.peers, oldest)
	}
}

// standIn finds a port of the gateway that stands for nobody yet, in neither family. Called with the
// table locked; it has far fewer flows than there are ports.
func (p *publisher) standIn(table *udpTable, info flowInfo) (id4, id6 stack.TransportEndpointID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		p.last = max(p.last+1, firstPeerPort)
		id4, id6 = p.g.addrs.peerIDs(p.last, info.Dport)
		if table.live[id4] == nil && table.live[id6] == nil {
			return id4, id6
		}
	}
}

// peerIDs are the two names that the flow of a peer can have in the guest.
func (a *linkAddresses) peerIDs(standIn, guestPort uint16) (id4, id6 stack.TransportEndpointID) {
	return udpEndpoint(netip.AddrPortFrom(a.gateway4, standIn), netip.AddrPortFrom(a.guest4, guestPort)),
		udpEndpoint(netip.AddrPortFrom(a.gateway6, standIn), netip.AddrPortFrom(a.guest6, guestPort))
}

// isLate tells whether a datagram answers a peer that was forgotten: it is from a published port, to the
// stand-in of nobody. It would be a denied flow otherwise, and news to nobody.
func (p *publisher) isLate(id stack.TransportEndpointID) bool {
	to := addrOf(id.LocalAddress)
	if id.LocalPort < firstPeerPort || to != p.g.addrs.gateway4 && to != p.g.addrs.gateway6 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.udpPorts[id.RemotePort] > 0
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
	verdict := t.g.decide(u.flow)
	t.mu.Lock()
	u.state = udpDropped
	if verdict.Action == actionAllow {
		u.state = udpAllowed
	}
	held := u.release()
	dial := u.id.RemoteAddress
	t.mu.Unlock()
	if u.flow.over() {
		t.drop(u)
		return
	}
	if verdict.Action != actionAllow {
		t.g.forget(u.flow)
		return
	}
	to := netip.AddrPortFrom(addrOf(dial), u.flow.info.Dport)
	t.g.control.tell(openedMessage{T: "opened", ID: u.flow.id, Dial: to.String()})
	for _, payload := range held {
		t.toGuest(u, payload)
	}
	<-u.flow.gone
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
	u.flow.down.Add(int64(len(payload)))
	t.g.writeUDP(id, payload)
}

// undelivered takes the guest's word that nobody listens on a port. The server that a peer wants may
// listen in the other family only: its flow moves there once, with the datagram that came back.
func (t *udpTable) undelivered(id stack.TransportEndpointID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.live[id]
	if u == nil || u.latest == nil || u.moved {
		return
	}
	payload := u.latest
	delete(t.live, id)
	id4, other := t.g.addrs.peerIDs(id.LocalPort, id.RemotePort)
	if id != id4 {
		other = id4
	}
	u.id, u.moved, u.latest = other, true, nil
	u.six.Store(other != id4)
	t.live[other] = u
	go guarded(func() { t.g.writeUDP(other, payload) })
}

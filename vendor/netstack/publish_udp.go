package main

import (
	"net"
	"net/netip"
	"strconv"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

func portText(port uint16) string { return strconv.Itoa(int(port)) }

// listenUDP publishes a UDP port. Each peer gets a port of the gateway of its own, so that the guest
// tells peers apart and can only answer those who wrote first.
func (p *publisher) listenUDP(m fromSbx, at netip.AddrPort) error {
	network := "udp4"
	if at.Addr().Is6() {
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	p.published(m, conn, conn.LocalAddr().(*net.UDPAddr).AddrPort())
	go guarded(func() {
		peers := map[netip.AddrPort]*udpFlow{}
		buf := make([]byte, maxDatagram)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			p.fromPeer(m, conn, peers, from, append([]byte(nil), buf[:n]...))
		}
	})
	return nil
}

// fromPeer handles one datagram of a peer. The map belongs to the listener's goroutine.
func (p *publisher) fromPeer(m fromSbx, conn *net.UDPConn, peers map[netip.AddrPort]*udpFlow, from netip.AddrPort, payload []byte) {
	table := p.g.udp
	u := peers[from]
	if u != nil {
		select {
		case <-u.flow.gone:
			delete(peers, from)
			u = nil
		default:
		}
	}
	if u == nil {
		for key, old := range peers {
			if len(peers) < maxPeers {
				break
			}
			old.flow.abort(endIdle)
			delete(peers, key)
		}
		f := p.g.begin(p.info(m, from))
		if f == nil {
			return
		}
		u = &udpFlow{id: p.peerEndpoint(f.info), flow: f, seen: time.Now()}
		u.peer = func(answer []byte) { conn.WriteToUDPAddrPort(answer, from) }
		peers[from] = u
		table.mu.Lock()
		table.live[u.id] = u
		table.mu.Unlock()
		go guarded(func() { table.settleInbound(u) })
	}
	table.mu.Lock()
	u.seen = time.Now()
	if u.state == udpAsked {
		if len(u.held) < maxHeldDatagrams {
			u.held = append(u.held, payload)
		}
		table.mu.Unlock()
		return
	}
	allowed := u.state == udpAllowed
	table.mu.Unlock()
	if allowed {
		table.reply(u, payload)
	}
}

// peerEndpoint gives a peer its stand-in: a port of the gateway.
func (p *publisher) peerEndpoint(info flowInfo) stack.TransportEndpointID {
	p.mu.Lock()
	p.nextPt++
	if p.nextPt < firstPeerPort {
		p.nextPt = firstPeerPort
	}
	port := p.nextPt
	p.mu.Unlock()
	guest, _ := netip.ParseAddr(info.Dst)
	gateway := p.g.addrs.gateway4
	if guest.Is6() {
		gateway = p.g.addrs.gateway6
	}
	return udpEndpoint(netip.AddrPortFrom(gateway, port), netip.AddrPortFrom(guest, info.Dport))
}

// settleInbound gets the verdict on a peer and delivers what it sent meanwhile.
func (t *udpTable) settleInbound(u *udpFlow) {
	verdict := t.g.decide(u.flow)
	t.mu.Lock()
	u.state = udpDropped
	if verdict.Action == actionAllow {
		u.state = udpAllowed
	}
	held := u.held
	u.held = nil
	t.mu.Unlock()
	if u.state == udpDropped {
		t.g.forget(u.flow)
		return
	}
	for _, payload := range held {
		t.reply(u, payload)
	}
	<-u.flow.gone
	t.mu.Lock()
	t.remove(u, endKilled)
	t.mu.Unlock()
}

package main

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

const (
	silentHost = "203.0.113.9"
	openHost   = "93.184.216.34"
)

// floodRig has two servers: one that answers, and silence under every other address.
func floodRig(t *testing.T, held int) *rig {
	open, silent := echoTCP(t), silentTCP(t)
	r := newRig(t, 1500, func(info flowInfo) fromSbx {
		if info.Dst == openHost {
			return fromSbx{Action: actionAllow, Dial: open.String()}
		}
		return fromSbx{Action: actionAllow, Dial: silent.String()}
	})
	r.g.held.max = held
	return r
}

func (r *rig) syn(to string, fromPort, toPort uint16) {
	r.send4(ipv4Packet(testGuest.IP4, to, uint8(header.TCPProtocolNumber), tcpSYN(testGuest.IP4, to, fromPort, toPort)))
}

// mustEcho holds a short conversation with the server that answers.
func (r *rig) mustEcho() {
	r.t.Helper()
	conn, err := r.dial(openHost + ":7")
	if err != nil {
		r.t.Fatalf("the other destination: %v", err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(hang))
	fmt.Fprint(conn, "hello")
	heard := make([]byte, 5)
	if _, err := conn.Read(heard); err != nil || string(heard) != "hello" {
		r.t.Fatalf("heard %q, %v", heard, err)
	}
}

// settle waits until a condition holds.
func settle(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(hang); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (h *heldSYNs) taken() (places, entries int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.places, len(h.entries)
}

func TestASilentDestinationLeavesRoomForOthers(t *testing.T) {
	const held = 256
	r := floodRig(t, held)
	for i := range 10_000 {
		r.syn(silentHost, uint16(1024+i), 80)
	}
	settle(t, "a full table", func() bool { places, _ := r.g.held.taken(); return places == held })
	for range 5 {
		r.mustEcho()
	}
	// Its own newcomers wait: what it dials already is not given up for them.
	dialled := r.count("flow")
	r.syn(silentHost, 60_000, 81)
	r.mustEcho()
	if now := r.count("flow"); now > dialled+heldRoom {
		t.Errorf("%d flows begun for one more SYN", now-dialled)
	}
}

func TestManySilentDestinationsLeaveRoomForOthers(t *testing.T) {
	r := floodRig(t, 256)
	for i := range 10_000 {
		at := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
		r.syn(at.String(), 40_000, 80)
	}
	r.mustEcho()
	settle(t, "the displaced to go", func() bool { _, entries := r.g.held.taken(); return entries <= 256 })
}

func TestHandshakesThatTheGuestNeverCompletesMakeRoom(t *testing.T) {
	r := floodRig(t, 128)
	r.mute.Store(true)
	for i := range 1000 {
		r.syn(openHost, uint16(1024+i), 9)
	}
	settle(t, "a full table", func() bool { places, _ := r.g.held.taken(); return places == 128 })
	r.syn("93.184.216.35", 50_000, 7)
	settle(t, "the other destination's question", func() bool {
		for {
			select {
			case m := <-r.told:
				if m.T == "flow" && m.Dst == "93.184.216.35" {
					return true
				}
			default:
				return false
			}
		}
	})
}

func TestASprayingPortDisplacesItsOwnFlows(t *testing.T) {
	r := newRig(t, 1500, func(info flowInfo) fromSbx { return fromSbx{Action: actionDeny} })
	quiet := ipv4Packet(testGuest.IP4, openHost, uint8(header.UDPProtocolNumber), udpDatagram(5353, 53, []byte("?")))
	r.send4(quiet)
	for i := range 5000 {
		at := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
		r.send4(ipv4Packet(testGuest.IP4, at.String(), uint8(header.UDPProtocolNumber), udpDatagram(6000, 9, []byte("!"))))
	}
	id := udpEndpoint(netip.MustParseAddrPort(openHost+":53"), netip.MustParseAddrPort(testGuest.IP4+":5353"))
	settle(t, "the last of the spray", func() bool {
		r.g.udp.mu.Lock()
		defer r.g.udp.mu.Unlock()
		last := netip.MustParseAddrPort("198.18.19.135:9")
		return r.g.udp.live[udpEndpoint(last, netip.MustParseAddrPort(testGuest.IP4+":6000"))] != nil
	})
	r.g.udp.mu.Lock()
	defer r.g.udp.mu.Unlock()
	if len(r.g.udp.live) > maxUDP {
		t.Errorf("%d flows", len(r.g.udp.live))
	}
	if r.g.udp.live[id] == nil {
		t.Error("the quiet port lost its flow")
	}
}

// An sbx that hears of floods more slowly than a guest can make them is not taken for one that hangs.
func TestAFloodOfRefusalsWaitsForSbx(t *testing.T) {
	r := newRig(t, 1500, func(flowInfo) fromSbx { return fromSbx{Action: actionDeny, TTLMs: 60_000} })
	r.syn(silentHost, 1023, 80)
	r.wait("the verdict that is cached", func(m told) bool { return m.T == "flow" })
	hear := r.pause()
	for !r.g.control.out.full() {
		r.g.control.tell(cachedMessage{T: "cached", Action: actionDeny})
	}
	for i := range 1000 {
		r.syn(silentHost, uint16(1024+i), 80)
	}
	hear()
	r.wait("what was refused without a word each", func(m told) bool { return m.T == "limit" && m.What == "pending" })
	settle(t, "the backlog to go", func() bool { return !r.g.control.out.full() })
	r.mustBeHeard()
}

// mustBeHeard opens a flow until sbx is asked about it.
func (r *rig) mustBeHeard() {
	r.t.Helper()
	before := r.count("flow")
	port := uint16(1024)
	settle(r.t, "a question", func() bool {
		port++
		r.syn(openHost, port, 80)
		return r.count("flow") > before
	})
}

package gateway

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/link"
	"sbx.dev/netstack/internal/nettest"
)

// floodRig has two servers: one that answers, and silence under every other address.
func floodRig(t *testing.T, held int) *rig {
	open, silent := nettest.EchoTCP(t), nettest.SilentTCP(t)
	r := newRig(t, 1500, func(info control.FlowInfo) control.Message {
		if info.Dst == nettest.OpenHost {
			return control.Message{Action: control.Allow, Dial: open.String()}
		}
		return control.Message{Action: control.Allow, Dial: silent.String()}
	})
	r.g.held.max = held
	return r
}

func (r *rig) syn(to string, fromPort, toPort uint16) {
	r.send4(nettest.Ipv4Packet(nettest.Guest.IP4, to, uint8(header.TCPProtocolNumber), nettest.TcpSYN(nettest.Guest.IP4, to, fromPort, toPort)))
}

// mustEcho holds a short conversation with the server that answers.
func (r *rig) mustEcho() {
	r.t.Helper()
	conn, err := r.dial(nettest.OpenHost + ":7")
	if err != nil {
		r.t.Fatalf("the other destination: %v", err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(nettest.Hang))
	fmt.Fprint(conn, "hello")
	heard := make([]byte, 5)
	if _, err := conn.Read(heard); err != nil || string(heard) != "hello" {
		r.t.Fatalf("heard %q, %v", heard, err)
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
		r.syn(nettest.SilentHost, uint16(1024+i), 80)
	}
	nettest.Settle(t, "a full table", func() bool { places, _ := r.g.held.taken(); return places == held })
	for range 5 {
		r.mustEcho()
	}
	// Its own newcomers wait: what it dials already is not given up for them.
	dialled := r.count("flow")
	r.syn(nettest.SilentHost, 60_000, 81)
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
	nettest.Settle(t, "the displaced to go", func() bool { _, entries := r.g.held.taken(); return entries <= 256 })
}

func TestHandshakesThatTheGuestNeverCompletesMakeRoom(t *testing.T) {
	r := floodRig(t, 128)
	r.mute.Store(true)
	for i := range 1000 {
		r.syn(nettest.OpenHost, uint16(1024+i), 9)
	}
	nettest.Settle(t, "a full table", func() bool { places, _ := r.g.held.taken(); return places == 128 })
	r.syn("93.184.216.35", 50_000, 7)
	nettest.Settle(t, "the other destination's question", func() bool {
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
	r := newRig(t, 1500, func(info control.FlowInfo) control.Message { return control.Message{Action: control.Deny} })
	quiet := nettest.Ipv4Packet(nettest.Guest.IP4, nettest.OpenHost, uint8(header.UDPProtocolNumber), nettest.UdpDatagram(5353, 53, []byte("?")))
	r.send4(quiet)
	for i := range 5000 {
		at := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
		r.send4(nettest.Ipv4Packet(nettest.Guest.IP4, at.String(), uint8(header.UDPProtocolNumber), nettest.UdpDatagram(6000, 9, []byte("!"))))
	}
	id := link.UDPFlow(netip.MustParseAddrPort(nettest.OpenHost+":53"), netip.MustParseAddrPort(nettest.Guest.IP4+":5353"))
	nettest.Settle(t, "the last of the spray", func() bool {
		r.g.udp.mu.Lock()
		defer r.g.udp.mu.Unlock()
		last := netip.MustParseAddrPort("198.18.19.135:9")
		return r.g.udp.live[link.UDPFlow(last, netip.MustParseAddrPort(nettest.Guest.IP4+":6000"))] != nil
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
	r := newRig(t, 1500, func(control.FlowInfo) control.Message { return control.Message{Action: control.Deny, TTLMs: 60_000} })
	r.syn(nettest.SilentHost, 1023, 80)
	r.wait("the verdict that is cached", func(m told) bool { return m.T == "flow" })
	hear := r.pause()
	// What is told goes to the kernel first, until that takes no more.
	for stuck := false; !stuck; stuck = r.g.control.Behind() {
		for !r.g.control.Behind() {
			r.g.control.Tell(control.Cached{T: "cached", Action: control.Deny})
		}
		time.Sleep(50 * time.Millisecond)
	}
	for i := range 1000 {
		r.syn(nettest.SilentHost, uint16(1024+i), 80)
	}
	hear()
	r.wait("what was refused without a word each", func(m told) bool { return m.T == "limit" && m.What == "pending" })
	nettest.Settle(t, "the backlog to go", func() bool { return !r.g.control.Behind() })
	r.mustBeHeard()
}

// mustBeHeard opens a flow until sbx is asked about it.
func (r *rig) mustBeHeard() {
	r.t.Helper()
	before := r.count("flow")
	port := uint16(1024)
	nettest.Settle(r.t, "a question", func() bool {
		port++
		r.syn(nettest.OpenHost, port, 80)
		return r.count("flow") > before
	})
}

package gateway

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/nettest"
)

func echoRequest(to string, ident, sequence uint16) []byte {
	message := make([]byte, echoHeader)
	h := header.ICMPv4(message)
	h.SetType(header.ICMPv4Echo)
	h.SetIdent(ident)
	h.SetSequence(sequence)
	h.SetChecksum(header.ICMPv4Checksum(h, 0))
	return nettest.Ipv4Packet(nettest.Guest.IP4, to, uint8(header.ICMPv4ProtocolNumber), message)
}

func TestARevokedPingStopsAndADeniedOneIsAskedAgainUnderANewPolicy(t *testing.T) {
	var allowed atomic.Bool
	allowed.Store(true)
	r := newRig(t, 1500, func(control.FlowInfo) control.Message {
		if allowed.Load() {
			return control.Message{Action: control.Allow, Dial: "127.0.0.1:0"}
		}
		return control.Message{Action: control.Deny}
	})
	asked := func(what string) told {
		return r.wait(what, func(m told) bool { return m.T == "flow" && m.Proto == "icmpv4" })
	}
	r.send4(echoRequest(nettest.OpenHost, 1, 1))
	first := asked("the first question")
	r.wait("the ping", func(m told) bool { return m.T == "opened" && m.ID == first.ID })
	allowed.Store(false)
	r.g.carryOut(control.Message{T: "policy", Epoch: 2})
	r.g.carryOut(control.Message{T: "kill", ID: first.ID})
	if end := r.wait("the end", func(m told) bool { return m.T == "closed" && m.ID == first.ID }); end.End != control.EndKilled {
		t.Errorf("ended as %s", end.End)
	}
	nettest.Settle(t, "the denial", func() bool {
		r.send4(echoRequest(nettest.OpenHost, 1, 2))
		r.g.pings.mu.Lock()
		defer r.g.pings.mu.Unlock()
		for _, p := range r.g.pings.live {
			return p.denied
		}
		return false
	})
	allowed.Store(true)
	r.g.carryOut(control.Message{T: "policy", Epoch: 3})
	r.send4(echoRequest(nettest.OpenHost, 1, 3))
	again := r.wait("the ping again", func(m told) bool { return m.T == "opened" })
	if again.ID == first.ID {
		t.Error("the revoked flow lives")
	}
}

func TestAPingSweepDisplacesWhatIsIdle(t *testing.T) {
	r := newRig(t, 1500, func(control.FlowInfo) control.Message { return control.Message{Action: control.Deny} })
	for i := range 10 * maxPings {
		r.send4(echoRequest(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String(), 7, 1))
	}
	r.send4(echoRequest(nettest.OpenHost, 8, 1))
	r.wait("the last question", func(m told) bool { return m.T == "flow" && m.Dst == nettest.OpenHost })
	r.g.pings.mu.Lock()
	defer r.g.pings.mu.Unlock()
	if n := len(r.g.pings.live); n > maxPings {
		t.Error(fmt.Sprint(n, " pings"))
	}
}

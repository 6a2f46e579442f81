package main

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Frames of every kind that a guest sends, to start damaging from.
func frameCorpus(a linkAddresses) [][]byte {
	from4 := func(protocol uint8, payload []byte) []byte {
		return ethernet(a.guestMAC, a.gatewayMAC, header.IPv4ProtocolNumber, ipv4Packet(testGuest.IP4, openHost, protocol, payload))
	}
	from6 := func(first byte, chain, datagram []byte) []byte {
		return ethernet(a.guestMAC, a.gatewayMAC, header.IPv6ProtocolNumber, packet6("2606:2800:220::34", first, chain, datagram))
	}
	unreachable := append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, ipv4Packet(testGateway.IP4, testGuest.IP4, 17, udpDatagram(40000, 80, nil))...)
	corpus := [][]byte{
		dhcpFrame(dhcpMessage(dhcpDiscover, 50, 4, 192, 168, 127, 2)),
		routerSolicit(),
		from4(6, tcpSYN(testGuest.IP4, openHost, 1, allowedTCP)),
		from4(17, udpDatagram(1, 9, make([]byte, 100))),
		from4(1, []byte{8, 0, 0, 0, 0, 1, 0, 1}),
		from4(1, unreachable),
		ethernet(a.guestMAC, a.gatewayMAC, header.IPv4ProtocolNumber, withOptions([]byte{7, 7, 4, 0, 0, 0, 0}, udpDatagram(1, 9, nil))),
		from6(17, nil, udpDatagram(1, 9, make([]byte, 50))),
		from6(60, []byte{43, 0, 1, 4, 0, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 7}, udpDatagram(1, 9, nil)),
		from6(58, nil, []byte{128, 0, 0, 0, 0, 1, 0, 1}),
		from6(58, nil, append([]byte{1, 4, 0, 0, 0, 0, 0, 0}, packet6(testGuest.IP6, 17, nil, udpDatagram(40000, 80, nil))...)),
	}
	for _, packet := range fragments(openHost, 17, 7, udpDatagram(1, 9, make([]byte, 400)), 8, 200) {
		corpus = append(corpus, ethernet(a.guestMAC, a.gatewayMAC, header.IPv4ProtocolNumber, packet))
	}
	return corpus
}

func TestDamagedFramesAreSurvivedAndTheNetworkWorksAfterwards(t *testing.T) {
	r, o := wireRig(t)
	sent := 0
	mutations(frameCorpus(r.l.addrs), 100_000, func(frame []byte) {
		if len(frame) <= maxClaim {
			r.send(frame)
			sent++
		}
	})
	if sent < 90_000 {
		t.Fatalf("only %d frames were sent", sent)
	}
	r.fence(o)
	conn, err := r.dial(openHost + ":443")
	if err != nil {
		t.Fatalf("afterwards: %v", err)
	}
	conn.Close()
}

// The parsers that see a frame first, alone and with every length.
func TestDamagedFramesAreParsedOrNot(t *testing.T) {
	a := testAddresses(t)
	mutations(frameCorpus(a), 100_000, func(frame []byte) {
		if len(frame) >= minFrame {
			a.answer(frame, 1500)
			a.admits(frame)
			portUnreachable(frame)
		}
	})
}

// What sbx says is trusted to be well meant and not to be well formed: damaged, it is an error or a message
// that carries out as nothing.
func TestDamagedMessagesAreErrorsOrHarmless(t *testing.T) {
	r := newRig(t, 1500, func(flowInfo) fromSbx { return fromSbx{Action: actionDeny} })
	var corpus [][]byte
	for _, message := range []fromSbx{
		{T: "verdict", ID: 1, Epoch: 1, Action: actionAllow, Dial: "127.0.0.1:1", TTLMs: 1000, WaitMs: 10},
		{T: "policy", Epoch: 2},
		{T: "host", Addresses: []string{"10.0.0.1", "fe80::1%eth0"}},
		{T: "kill", ID: 3},
		{T: "publish", Ref: 1, Bind: "127.0.0.1", Port: 0, GuestPort: 80, Proto: "udp"},
		{T: "unpublish", Ref: 1},
		{T: "ping", N: 9},
		{T: "config", V: 1, MTU: 1500, Guest: testGuest, Gateway: testGateway},
	} {
		body, _ := json.Marshal(message)
		corpus = append(corpus, body)
	}
	parsed := 0
	mutations(corpus, 100_000, func(body []byte) {
		message, err := readMessage(bytes.NewReader(frameMessage(string(body))))
		if err != nil || message.T == "publish" { // it would really listen
			return
		}
		parsed++
		r.g.carryOut(message)
		r.g.guard.dialTarget(message, netip.AddrPortFrom(r.l.addrs.guest4, 80))
		parseLinkAddresses(message.Guest, message.Gateway)
	})
	if parsed == 0 {
		t.Error("nothing was parsed: the corpus is no good")
	}
}

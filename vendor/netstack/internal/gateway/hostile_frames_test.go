package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"sbx.dev/netstack/internal/link"
	"sbx.dev/netstack/internal/nettest"
)

func TestFramesThatCannotBeAreDropped(t *testing.T) {
	r, o := wireRig(t)
	guest, gateway := nettest.MAC(nettest.Guest.MAC), nettest.MAC(nettest.Gateway.MAC)
	good := nettest.Ipv4Packet(nettest.Guest.IP4, nettest.OpenHost, 17, nettest.UdpDatagram(1, allowedUDP, []byte("odd")))
	tagged := append([]byte{0, 5, 8, 0}, good...)
	for size := range link.MinFrame {
		r.send(make([]byte, size))
	}
	for _, size := range []int{link.MaxFrame, link.MaxFrame + 1, 70_000, link.MaxClaim} {
		r.send(append(nettest.Ethernet(guest, gateway, header.IPv4ProtocolNumber, good), make([]byte, size-link.MinFrame-len(good))...))
	}
	for kind, payload := range map[tcpip.NetworkProtocolNumber][]byte{
		0x8100: tagged, 0x88a8: tagged, 0x9100: tagged, 0x88cc: good, 0x86dd: good, 0x0806: good, 0: good,
	} {
		r.send(nettest.Ethernet(guest, gateway, kind, payload))
	}
	for cut := range len(good) {
		r.send(nettest.Ethernet(guest, gateway, header.IPv4ProtocolNumber, good[:cut]))
	}
	r.fence(o)
	// The largest frame carries a whole datagram before its padding, as a card may pad.
	datagrams, _ := o.got()
	for _, datagram := range datagrams {
		if string(datagram) != "odd" {
			t.Errorf("%q arrived", datagram)
		}
	}
	if len(datagrams) > 1 {
		t.Errorf("%d datagrams arrived", len(datagrams))
	}
}

func TestSourceRoutesLeadNowhere(t *testing.T) {
	r, o := wireRig(t)
	neighbour := net.IPv4(10, 9, 9, 9).To4()
	for name, options := range map[string][]byte{
		"loose source route":  append([]byte{131, 7, 4}, neighbour...),
		"strict source route": append([]byte{137, 7, 4}, neighbour...),
		"record route":        append([]byte{7, 7, 4}, 0, 0, 0, 0),
		"an endless option":   {131, 255, 4, 0},
		"an empty option":     {131, 0},
	} {
		r.send4(nettest.WithOptions(options, nettest.UdpDatagram(1, allowedUDP, []byte(name))))
	}
	r.fence(o)
	for _, flow := range r.asked() {
		if flow != "udp 93.184.216.34:7000" {
			t.Errorf("asked about %s", flow)
		}
	}
}

func TestExtensionHeadersLeadNowhere(t *testing.T) {
	const hopByHop, routing, udp = 0, 43, 17
	r, o := wireRig(t)
	datagram := nettest.UdpDatagram(1, allowedUDP, []byte("six"))
	sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, nettest.AddressOf(nettest.Guest.IP6), nettest.AddressOf("2606:2800:220::34"), uint16(len(datagram)))
	header.UDP(datagram).SetChecksum(^header.UDP(datagram).CalculateChecksum(sum))
	// Type 0, one segment left (RFC 5095 forbids it): on to a neighbour.
	route := append([]byte{udp, 2, 0, 1, 0, 0, 0, 0}, net.ParseIP("fd12::9")...)
	var chain []byte
	for range 64 {
		chain = append(chain, 60, 0, 1, 4, 0, 0, 0, 0) // destination options that say nothing
	}
	chain[len(chain)-8] = udp
	for name, row := range map[string]struct {
		first byte
		chain []byte
	}{
		"a routing header":         {routing, route},
		"64 headers":               {60, chain},
		"hop-by-hop after another": {60, append([]byte{hopByHop, 0, 1, 4, 0, 0, 0, 0}, udp, 0, 1, 4, 0, 0, 0, 0)},
		"a header cut short":       {60, []byte{udp, 200, 0, 0}},
	} {
		for range 10 {
			r.send(nettest.Ethernet(nettest.MAC(nettest.Guest.MAC), nettest.MAC(nettest.Gateway.MAC), header.IPv6ProtocolNumber, nettest.Packet6("2606:2800:220::34", row.first, row.chain, datagram)))
		}
		r.fence(o)
		for _, flow := range r.asked() {
			if flow != "udp 2606:2800:220::34:7000" {
				t.Errorf("%s: asked about %s", name, flow)
			}
		}
	}
	if datagrams, _ := o.got(); len(datagrams) > 0 {
		t.Errorf("%q arrived", datagrams)
	}
}

func TestNeighboursAndRoutersThatTheGuestInventsAreIgnored(t *testing.T) {
	r, o := wireRig(t)
	guest, all := nettest.MAC(nettest.Guest.MAC), tcpip.LinkAddress("\x33\x33\x00\x00\x00\x01")
	arp := make([]byte, header.ARPSize)
	h := header.ARP(arp)
	h.SetIPv4OverEthernet()
	h.SetOp(header.ARPReply)
	copy(h.HardwareAddressSender(), guest)
	copy(h.ProtocolAddressSender(), net.ParseIP(nettest.Gateway.IP4).To4()) // "the gateway is me"
	copy(h.ProtocolAddressTarget(), net.ParseIP(nettest.Gateway.IP4).To4())
	link := func(kind byte, body []byte) []byte {
		source, dest := nettest.AddressOf("fe80::73:62ff:fe78:2"), header.IPv6AllNodesMulticastAddress
		message := append([]byte{kind, 0, 0, 0}, body...)
		header.ICMPv6(message).SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{Header: message, Src: source, Dst: dest}))
		packet := make([]byte, header.IPv6MinimumSize)
		header.IPv6(packet).Encode(&header.IPv6Fields{
			PayloadLength: uint16(len(message)), TransportProtocol: header.ICMPv6ProtocolNumber, HopLimit: 255,
			SrcAddr: source, DstAddr: dest,
		})
		return nettest.Ethernet(guest, all, header.IPv6ProtocolNumber, append(packet, message...))
	}
	gateway6 := netip.MustParseAddr(nettest.Gateway.IP6).As16()
	advert := append(append([]byte{0xa0, 0, 0, 0}, gateway6[:]...), 2, 1, 2, 0x73, 0x62, 0x78, 0, 9)
	router := append([]byte{64, 0, 0x23, 0x28, 0, 0, 0, 0, 0, 0, 0, 0}, 3, 4, 64, 0xc0, 0, 0, 0x23, 0x28, 0, 0, 0x23, 0x28, 0, 0, 0, 0)
	router = append(router, net.ParseIP("2606:2800:220::")...)
	before := fmt.Sprint(r.g.stack.GetRouteTable(), r.g.stack.NICInfo()[nicID].ProtocolAddresses)
	for range 3 {
		r.send(nettest.Ethernet(guest, header.EthernetBroadcastAddress, header.ARPProtocolNumber, arp))
		r.send(link(136, advert))
		r.send(link(134, router))
	}
	r.fence(o)
	if after := fmt.Sprint(r.g.stack.GetRouteTable(), r.g.stack.NICInfo()[nicID].ProtocolAddresses); after != before {
		t.Errorf("the stack became %s, was %s", after, before)
	}
	conn, err := r.dial(nettest.OpenHost + ":443")
	if err != nil {
		t.Fatalf("the guest's own: %v", err)
	}
	conn.Close()
}

func TestOtherProtocolsEndHere(t *testing.T) {
	r, o := wireRig(t)
	for _, protocol := range []uint8{0, 2, 4, 41, 47, 50, 51, 132, 253, 255} {
		r.send4(nettest.Ipv4Packet(nettest.Guest.IP4, nettest.OpenHost, protocol, make([]byte, 64)))
		r.send(nettest.Ethernet(nettest.MAC(nettest.Guest.MAC), nettest.MAC(nettest.Gateway.MAC), header.IPv6ProtocolNumber,
			nettest.Packet6("2606:2800:220::34", protocol, nil, make([]byte, 64))))
	}
	for _, to := range []string{"255.255.255.255", "192.168.127.255", "224.0.0.251", "239.255.255.250"} {
		r.send(nettest.Ethernet(nettest.MAC(nettest.Guest.MAC), header.EthernetBroadcastAddress, header.IPv4ProtocolNumber,
			nettest.Ipv4Packet(nettest.Guest.IP4, to, 17, nettest.UdpDatagram(1, allowedUDP, []byte("everybody")))))
	}
	r.fence(o)
	for _, flow := range r.asked() {
		if flow == "udp 93.184.216.34:7000" {
			t.Error("another protocol became a flow")
		}
	}
	if datagrams, streams := o.got(); len(datagrams)+len(streams) > 0 {
		t.Errorf("%q %q arrived", datagrams, streams)
	}
}

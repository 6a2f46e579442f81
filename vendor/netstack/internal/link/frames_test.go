package link

import (
	"encoding/binary"
	"net"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/nettest"
)

func testAddresses(t testing.TB) Addresses {
	t.Helper()
	a, err := ParseAddresses(control.Endpoint(nettest.Guest), control.Endpoint(nettest.Gateway))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestDHCPGivesTheOneAddress(t *testing.T) {
	a := testAddresses(t)
	for _, row := range []struct {
		name    string
		message []byte
		reply   byte
	}{
		{"discover", nettest.DhcpMessage(DhcpDiscover), dhcpOffer},
		{"request of ours", nettest.DhcpMessage(dhcpRequest, 50, 4, 192, 168, 127, 2), dhcpAck},
		{"request of another", nettest.DhcpMessage(dhcpRequest, 50, 4, 10, 0, 0, 9), dhcpNak},
		{"inform", nettest.DhcpMessage(dhcpInform), dhcpAck},
		{"release", nettest.DhcpMessage(7), 0},
		{"cut option", append(nettest.DhcpMessage(DhcpDiscover)[:DhcpHead+3], 50, 200), dhcpOffer},
	} {
		reply := a.answerDHCP(nettest.DhcpFrame(row.message), 1500)
		if row.reply == 0 {
			if reply != nil {
				t.Errorf("%s: answered", row.name)
			}
			continue
		}
		if reply == nil {
			t.Errorf("%s: no answer", row.name)
			continue
		}
		ip := header.IPv4(reply[header.EthernetMinimumSize:])
		message := header.UDP(ip.Payload()).Payload()
		kind, _ := dhcpOptions(message[DhcpHead:])
		if kind != row.reply || !ip.IsChecksumValid() {
			t.Errorf("%s: answered %d, want %d", row.name, kind, row.reply)
		}
		if row.reply == dhcpOffer && net.IP(message[16:20]).String() != nettest.Guest.IP4 {
			t.Errorf("%s: offered %v", row.name, net.IP(message[16:20]))
		}
	}
}

func TestRouterAdvertisementIsValid(t *testing.T) {
	a := testAddresses(t)
	reply := a.answerRouterSolicit(nettest.RouterSolicit(), 65520)
	if reply == nil {
		t.Fatal("no answer")
	}
	ip := header.IPv6(reply[header.EthernetMinimumSize:])
	message := header.ICMPv6(ip.Payload())
	if ip.HopLimit() != 255 || message.Type() != header.ICMPv6RouterAdvert {
		t.Fatalf("not an advertisement: %v", message.Type())
	}
	sum := header.ICMPv6Checksum(header.ICMPv6ChecksumParams{
		Header: message, Src: ip.SourceAddress(), Dst: ip.DestinationAddress(),
	})
	if sum != message.Checksum() && sum != 0 {
		t.Errorf("checksum %x, want %x", message.Checksum(), sum)
	}
	advert := header.NDPRouterAdvert(message.MessageBody())
	options, err := advert.Options().Iter(true)
	if err != nil {
		t.Fatal(err)
	}
	kinds := 0
	for option, done, err := options.Next(); !done; option, done, err = options.Next() {
		if err != nil {
			t.Fatal(err)
		}
		_ = option
		kinds++
	}
	if kinds != 3 { // gVisor skips the MTU option, which it does not know
		t.Errorf("%d options", kinds)
	}
}

func TestTheGuestOwnsTheAdvertisedPrefix(t *testing.T) {
	a := testAddresses(t)
	for source, want := range map[string]bool{
		nettest.Guest.IP6:           true,
		"fd73:6278::73:62ff:fe78:2": true, // what a guest makes of the prefix by itself
		"fd73:6278::d1ce:5eed:0:1":  true,
		nettest.Gateway.IP6:         false,
		"fd73:6278::":               false,
		"fd73:6278:0:1::2":          false,
		"2606:2800:220::34":         false,
		"fe80::73:62ff:fe78:2":      false, // only for neighbour discovery
		"::ffff:192.168.127.2":      false,
	} {
		packet := make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+8)
		header.IPv6(packet).Encode(&header.IPv6Fields{
			PayloadLength: 8, TransportProtocol: header.UDPProtocolNumber, HopLimit: 64,
			SrcAddr: tcpip.AddrFromSlice(net.ParseIP(source).To16()), DstAddr: header.IPv6Any,
		})
		frame := nettest.Ethernet(a.guestMAC, a.gatewayMAC, header.IPv6ProtocolNumber, append(packet, nettest.UdpDatagram(1, 2, nil)...))
		if got := a.admits(frame); got != want {
			t.Errorf("%s: admitted %v", source, got)
		}
	}
}

func TestOnlyTheGuestIsAdmitted(t *testing.T) {
	a := testAddresses(t)
	guest, gateway := a.guestMAC, a.gatewayMAC
	syn := nettest.TcpSYN(nettest.Guest.IP4, "93.184.216.34", 1000, 443)
	good := nettest.Ipv4Packet(nettest.Guest.IP4, "93.184.216.34", 6, syn)
	for _, row := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"the guest's", nettest.Ethernet(guest, gateway, header.IPv4ProtocolNumber, good), true},
		{"a forged MAC", nettest.Ethernet("\x02\x00\x00\x00\x00\x09", gateway, header.IPv4ProtocolNumber, good), false},
		{"to another machine", nettest.Ethernet(guest, "\x02\x00\x00\x00\x00\x09", header.IPv4ProtocolNumber, good), false},
		{"a forged source", nettest.Ethernet(guest, gateway, header.IPv4ProtocolNumber, nettest.Ipv4Packet("10.9.9.9", "93.184.216.34", 6, syn)), false},
		{"the gateway's source", nettest.Ethernet(guest, gateway, header.IPv4ProtocolNumber, nettest.Ipv4Packet(nettest.Gateway.IP4, "93.184.216.34", 6, syn)), false},
		{"to the gateway", nettest.Ethernet(guest, gateway, header.IPv4ProtocolNumber, nettest.Ipv4Packet(nettest.Guest.IP4, nettest.Gateway.IP4, 6, syn)), true},
		{"to a machine that is not there", nettest.Ethernet(guest, gateway, header.IPv4ProtocolNumber, nettest.Ipv4Packet(nettest.Guest.IP4, "192.168.127.3", 6, syn)), false},
		{"to all on the cable", nettest.Ethernet(guest, header.EthernetBroadcastAddress, header.IPv4ProtocolNumber, nettest.Ipv4Packet(nettest.Guest.IP4, "192.168.127.255", 17, syn)), false},
		{"a VLAN tag", nettest.Ethernet(guest, gateway, 0x8100, good), false},
		{"an unknown type", nettest.Ethernet(guest, gateway, 0x88cc, good), false},
		{"a cut header", nettest.Ethernet(guest, gateway, header.IPv4ProtocolNumber, good[:19]), false},
		{"nothing", nettest.Ethernet(guest, gateway, header.IPv6ProtocolNumber, nil), false},
	} {
		if got := a.admits(row.frame); got != row.want {
			t.Errorf("%s: admitted %v", row.name, got)
		}
	}
}

func TestDHCPServesNoStrangerAndKeepsTheLease(t *testing.T) {
	a := testAddresses(t)
	for i := range 300 {
		message := nettest.DhcpMessage(dhcpRequest, append([]byte{12, 9}, "\x1b[2J\nname"...)...)
		binary.BigEndian.PutUint32(message[30:], uint32(i))
		if a.answerDHCP(nettest.DhcpFrame(message), 1500) != nil {
			t.Fatalf("hardware address %d got an answer", i)
		}
	}
	for _, kind := range []byte{4, 7, 9, 255} { // DECLINE, RELEASE, and what does not exist
		if a.answerDHCP(nettest.DhcpFrame(nettest.DhcpMessage(kind, 50, 4, 192, 168, 127, 1)), 1500) != nil {
			t.Errorf("message %d got an answer", kind)
		}
	}
	if reply := a.answerDHCP(nettest.DhcpFrame(nettest.DhcpMessage(DhcpDiscover)), 1500); reply == nil {
		t.Error("the guest got none")
	}
}

func TestWhatADHCPClientSaysIsNoFlow(t *testing.T) {
	a := testAddresses(t)
	for _, row := range []struct {
		name  string
		frame []byte
		own   bool
	}{
		{"a release, which gets no answer", nettest.DhcpFrame(nettest.DhcpMessage(7)), true},
		{"a discovery", nettest.DhcpFrame(nettest.DhcpMessage(DhcpDiscover)), true},
		{"a release to the gateway", dhcpTo(a, nettest.Gateway.IP4), true},
		{"one to somebody else", dhcpTo(a, "10.9.9.9"), false},
		{"a query", nettest.Ethernet(a.guestMAC, a.gatewayMAC, header.IPv4ProtocolNumber,
			nettest.Ipv4Packet(nettest.Guest.IP4, nettest.Gateway.IP4, 17, nettest.UdpDatagram(68, 53, nil))), false},
	} {
		if _, own := a.answer(row.frame, 1500); own != row.own {
			t.Errorf("%s: the gateway's own: %v", row.name, own)
		}
	}
}

func dhcpTo(a Addresses, to string) []byte {
	datagram := nettest.UdpDatagram(dhcpClientPort, dhcpServerPort, nettest.DhcpMessage(7))
	return nettest.Ethernet(a.guestMAC, a.gatewayMAC, header.IPv4ProtocolNumber,
		nettest.Ipv4Packet(nettest.Guest.IP4, to, 17, datagram))
}

// The parsers that see a frame first, alone and with every length.
func TestDamagedFramesAreParsedOrNot(t *testing.T) {
	a := testAddresses(t)
	nettest.Mutations(nettest.FrameCorpus(), 100_000, func(frame []byte) {
		if len(frame) >= MinFrame {
			a.answer(frame, 1500)
			a.admits(frame)
			portUnreachable(frame)
		}
	})
}

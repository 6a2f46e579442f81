package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

var (
	testGuest   = endpoint{"02:73:62:78:00:02", "192.168.127.2", "fd73:6278::2"}
	testGateway = endpoint{"02:73:62:78:00:01", "192.168.127.1", "fd73:6278::1"}
)

func testAddresses(t testing.TB) linkAddresses {
	t.Helper()
	a, err := parseLinkAddresses(testGuest, testGateway)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func testMAC(text string) tcpip.LinkAddress {
	mac, _ := net.ParseMAC(text)
	return tcpip.LinkAddress(mac)
}

func ethernet(from, to tcpip.LinkAddress, kind tcpip.NetworkProtocolNumber, payload []byte) []byte {
	frame := make([]byte, header.EthernetMinimumSize, header.EthernetMinimumSize+len(payload))
	header.Ethernet(frame).Encode(&header.EthernetFields{SrcAddr: from, DstAddr: to, Type: kind})
	return append(frame, payload...)
}

func ipv4Packet(from, to string, protocol uint8, payload []byte) []byte {
	packet := make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+len(payload))
	ip := header.IPv4(packet)
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(header.IPv4MinimumSize + len(payload)), TTL: 64, Protocol: protocol,
		SrcAddr: tcpip.AddrFromSlice(net.ParseIP(from).To4()), DstAddr: tcpip.AddrFromSlice(net.ParseIP(to).To4()),
	})
	ip.SetChecksum(^ip.CalculateChecksum())
	return append(packet, payload...)
}

func udpDatagram(from, to uint16, payload []byte) []byte {
	datagram := make([]byte, header.UDPMinimumSize, header.UDPMinimumSize+len(payload))
	header.UDP(datagram).Encode(&header.UDPFields{SrcPort: from, DstPort: to, Length: uint16(header.UDPMinimumSize + len(payload))})
	return append(datagram, payload...)
}

func tcpSYN(from, to string, fromPort, toPort uint16) []byte {
	segment := make([]byte, header.TCPMinimumSize)
	header.TCP(segment).Encode(&header.TCPFields{
		SrcPort: fromPort, DstPort: toPort, SeqNum: 1, DataOffset: header.TCPMinimumSize,
		Flags: header.TCPFlagSyn, WindowSize: 65535,
	})
	source, dest := tcpip.AddrFromSlice(net.ParseIP(from).To4()), tcpip.AddrFromSlice(net.ParseIP(to).To4())
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, source, dest, uint16(len(segment)))
	header.TCP(segment).SetChecksum(^header.TCP(segment).CalculateChecksum(checksum.Combine(sum, 0)))
	return segment
}

func dhcpMessage(kind byte, options ...byte) []byte {
	message := make([]byte, dhcpHead)
	copy(message, []byte{1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef})
	copy(message[28:], testMAC(testGuest.MAC))
	binary.BigEndian.PutUint32(message[236:], dhcpMagic)
	message = append(message, 53, 1, kind)
	return append(append(message, options...), 255)
}

func dhcpFrame(message []byte) []byte {
	datagram := udpDatagram(dhcpClientPort, dhcpServerPort, message)
	packet := ipv4Packet("0.0.0.0", "255.255.255.255", uint8(header.UDPProtocolNumber), datagram)
	return ethernet(testMAC(testGuest.MAC), header.EthernetBroadcastAddress, header.IPv4ProtocolNumber, packet)
}

func routerSolicit() []byte {
	body := []byte{byte(header.ICMPv6RouterSolicit), 0, 0, 0, 0, 0, 0, 0}
	packet := make([]byte, header.IPv6MinimumSize)
	header.IPv6(packet).Encode(&header.IPv6Fields{
		PayloadLength: uint16(len(body)), TransportProtocol: header.ICMPv6ProtocolNumber, HopLimit: 255,
		SrcAddr: header.IPv6Any, DstAddr: header.IPv6AllRoutersLinkLocalMulticastAddress,
	})
	return ethernet(testMAC(testGuest.MAC), "\x33\x33\x00\x00\x00\x02", header.IPv6ProtocolNumber, append(packet, body...))
}

func TestDHCPGivesTheOneAddress(t *testing.T) {
	a := testAddresses(t)
	for _, row := range []struct {
		name    string
		message []byte
		reply   byte
	}{
		{"discover", dhcpMessage(dhcpDiscover), dhcpOffer},
		{"request of ours", dhcpMessage(dhcpRequest, 50, 4, 192, 168, 127, 2), dhcpAck},
		{"request of another", dhcpMessage(dhcpRequest, 50, 4, 10, 0, 0, 9), dhcpNak},
		{"inform", dhcpMessage(dhcpInform), dhcpAck},
		{"release", dhcpMessage(7), 0},
		{"cut option", append(dhcpMessage(dhcpDiscover)[:dhcpHead+3], 50, 200), dhcpOffer},
	} {
		reply := a.answerDHCP(dhcpFrame(row.message), 1500)
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
		kind, _ := dhcpOptions(message[dhcpHead:])
		if kind != row.reply || !ip.IsChecksumValid() {
			t.Errorf("%s: answered %d, want %d", row.name, kind, row.reply)
		}
		if row.reply == dhcpOffer && net.IP(message[16:20]).String() != testGuest.IP4 {
			t.Errorf("%s: offered %v", row.name, net.IP(message[16:20]))
		}
	}
}

func TestRouterAdvertisementIsValid(t *testing.T) {
	a := testAddresses(t)
	reply := a.answerRouterSolicit(routerSolicit(), 65520)
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
		testGuest.IP6:               true,
		"fd73:6278::73:62ff:fe78:2": true, // what a guest makes of the prefix by itself
		"fd73:6278::d1ce:5eed:0:1":  true,
		testGateway.IP6:             false,
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
		frame := ethernet(a.guestMAC, a.gatewayMAC, header.IPv6ProtocolNumber, append(packet, udpDatagram(1, 2, nil)...))
		if got := a.admits(frame); got != want {
			t.Errorf("%s: admitted %v", source, got)
		}
	}
}

func TestOnlyTheGuestIsAdmitted(t *testing.T) {
	a := testAddresses(t)
	guest, gateway := a.guestMAC, a.gatewayMAC
	syn := tcpSYN(testGuest.IP4, "93.184.216.34", 1000, 443)
	good := ipv4Packet(testGuest.IP4, "93.184.216.34", 6, syn)
	for _, row := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"the guest's", ethernet(guest, gateway, header.IPv4ProtocolNumber, good), true},
		{"a forged MAC", ethernet("\x02\x00\x00\x00\x00\x09", gateway, header.IPv4ProtocolNumber, good), false},
		{"to another machine", ethernet(guest, "\x02\x00\x00\x00\x00\x09", header.IPv4ProtocolNumber, good), false},
		{"a forged source", ethernet(guest, gateway, header.IPv4ProtocolNumber, ipv4Packet("10.9.9.9", "93.184.216.34", 6, syn)), false},
		{"the gateway's source", ethernet(guest, gateway, header.IPv4ProtocolNumber, ipv4Packet(testGateway.IP4, "93.184.216.34", 6, syn)), false},
		{"to the gateway", ethernet(guest, gateway, header.IPv4ProtocolNumber, ipv4Packet(testGuest.IP4, testGateway.IP4, 6, syn)), true},
		{"to a machine that is not there", ethernet(guest, gateway, header.IPv4ProtocolNumber, ipv4Packet(testGuest.IP4, "192.168.127.3", 6, syn)), false},
		{"to all on the cable", ethernet(guest, header.EthernetBroadcastAddress, header.IPv4ProtocolNumber, ipv4Packet(testGuest.IP4, "192.168.127.255", 17, syn)), false},
		{"a VLAN tag", ethernet(guest, gateway, 0x8100, good), false},
		{"an unknown type", ethernet(guest, gateway, 0x88cc, good), false},
		{"a cut header", ethernet(guest, gateway, header.IPv4ProtocolNumber, good[:19]), false},
		{"nothing", ethernet(guest, gateway, header.IPv6ProtocolNumber, nil), false},
	} {
		if got := a.admits(row.frame); got != row.want {
			t.Errorf("%s: admitted %v", row.name, got)
		}
	}
}

// mutations yields damaged copies of a corpus: flipped bytes, cuts, doubled parts. The seed is fixed, so
// a failure can be repeated.
func mutations(corpus [][]byte, count int, visit func([]byte)) {
	random := rand.New(rand.NewPCG(1, 2))
	for range count {
		sample := append([]byte(nil), corpus[random.IntN(len(corpus))]...)
		for range 1 + random.IntN(6) {
			if len(sample) == 0 {
				break
			}
			switch random.IntN(4) {
			case 0, 1:
				sample[random.IntN(len(sample))] = byte(random.IntN(256))
			case 2:
				sample = sample[:random.IntN(len(sample)+1)]
			case 3:
				at := random.IntN(len(sample))
				sample = append(sample[:at:at], append(append([]byte(nil), sample[at:]...), sample[at:]...)...)
			}
		}
		visit(sample)
	}
}

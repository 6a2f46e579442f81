// Package nettest is what tests of several packages play with: frames of a guest, first words of clients,
// servers, damaged copies of a corpus, a time limit against hangs.
package nettest

import (
	"encoding/binary"
	"net"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Machine is one end of the cable.
type Machine struct{ MAC, IP4, IP6 string }

var (
	Guest   = Machine{"02:73:62:78:00:02", "192.168.127.2", "fd73:6278::2"}
	Gateway = Machine{"02:73:62:78:00:01", "192.168.127.1", "fd73:6278::1"}
)

func MAC(text string) tcpip.LinkAddress {
	mac, _ := net.ParseMAC(text)
	return tcpip.LinkAddress(mac)
}

func Ethernet(from, to tcpip.LinkAddress, kind tcpip.NetworkProtocolNumber, payload []byte) []byte {
	frame := make([]byte, header.EthernetMinimumSize, header.EthernetMinimumSize+len(payload))
	header.Ethernet(frame).Encode(&header.EthernetFields{SrcAddr: from, DstAddr: to, Type: kind})
	return append(frame, payload...)
}

func Ipv4Packet(from, to string, protocol uint8, payload []byte) []byte {
	packet := make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+len(payload))
	ip := header.IPv4(packet)
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(header.IPv4MinimumSize + len(payload)), TTL: 64, Protocol: protocol,
		SrcAddr: tcpip.AddrFromSlice(net.ParseIP(from).To4()), DstAddr: tcpip.AddrFromSlice(net.ParseIP(to).To4()),
	})
	ip.SetChecksum(^ip.CalculateChecksum())
	return append(packet, payload...)
}

func UdpDatagram(from, to uint16, payload []byte) []byte {
	datagram := make([]byte, header.UDPMinimumSize, header.UDPMinimumSize+len(payload))
	header.UDP(datagram).Encode(&header.UDPFields{SrcPort: from, DstPort: to, Length: uint16(header.UDPMinimumSize + len(payload))})
	return append(datagram, payload...)
}

func TcpSYN(from, to string, fromPort, toPort uint16) []byte {
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

func DhcpMessage(kind byte, options ...byte) []byte {
	message := make([]byte, 240) // up to the options
	copy(message, []byte{1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef})
	copy(message[28:], MAC(Guest.MAC))
	binary.BigEndian.PutUint32(message[236:], 0x63825363)
	message = append(message, 53, 1, kind)
	return append(append(message, options...), 255)
}

func DhcpFrame(message []byte) []byte {
	datagram := UdpDatagram(68, 67, message)
	packet := Ipv4Packet("0.0.0.0", "255.255.255.255", uint8(header.UDPProtocolNumber), datagram)
	return Ethernet(MAC(Guest.MAC), header.EthernetBroadcastAddress, header.IPv4ProtocolNumber, packet)
}

func RouterSolicit() []byte {
	body := []byte{byte(header.ICMPv6RouterSolicit), 0, 0, 0, 0, 0, 0, 0}
	packet := make([]byte, header.IPv6MinimumSize)
	header.IPv6(packet).Encode(&header.IPv6Fields{
		PayloadLength: uint16(len(body)), TransportProtocol: header.ICMPv6ProtocolNumber, HopLimit: 255,
		SrcAddr: header.IPv6Any, DstAddr: header.IPv6AllRoutersLinkLocalMulticastAddress,
	})
	return Ethernet(MAC(Guest.MAC), "\x33\x33\x00\x00\x00\x02", header.IPv6ProtocolNumber, append(packet, body...))
}

// WithOptions is a datagram whose IP header has these options.
func WithOptions(options []byte, datagram []byte) []byte {
	size := header.IPv4MinimumSize + (len(options)+3)/4*4
	packet := make([]byte, size, size+len(datagram))
	copy(packet, Ipv4Packet(Guest.IP4, OpenHost, 17, nil))
	copy(packet[header.IPv4MinimumSize:], options)
	packet[0] = 4<<4 | byte(size/4)
	binary.BigEndian.PutUint16(packet[2:], uint16(size+len(datagram)))
	ip := header.IPv4(packet)
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())
	return append(packet, datagram...)
}

// Packet6 chains extension headers in front of a datagram from the guest.
func Packet6(to string, first byte, chain, datagram []byte) []byte {
	packet := make([]byte, header.IPv6MinimumSize)
	header.IPv6(packet).Encode(&header.IPv6Fields{
		PayloadLength: uint16(len(chain) + len(datagram)), TransportProtocol: tcpip.TransportProtocolNumber(first),
		HopLimit: 64, SrcAddr: AddressOf(Guest.IP6), DstAddr: AddressOf(to),
	})
	return append(append(packet, chain...), datagram...)
}

// Fragment is a part of an IPv4 payload; `at` counts bytes.
func Fragment(to string, protocol uint8, id uint16, at int, more bool, part []byte) []byte {
	packet := Ipv4Packet(Guest.IP4, to, protocol, part)
	ip := header.IPv4(packet)
	flags := uint16(at / 8)
	if more {
		flags |= 0x2000
	}
	ip.SetID(id)
	binary.BigEndian.PutUint16(packet[6:], flags)
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())
	return packet
}

// Fragments cuts a payload at these places.
func Fragments(to string, protocol uint8, id uint16, payload []byte, cuts ...int) (packets [][]byte) {
	at := 0
	for _, cut := range append(cuts, len(payload)) {
		packets = append(packets, Fragment(to, protocol, id, at, cut < len(payload), payload[at:cut]))
		at = cut
	}
	return packets
}

// Frames of every kind that a guest sends, to start damaging from.
func FrameCorpus() [][]byte {
	guest, gateway := MAC(Guest.MAC), MAC(Gateway.MAC)
	from4 := func(protocol uint8, payload []byte) []byte {
		return Ethernet(guest, gateway, header.IPv4ProtocolNumber, Ipv4Packet(Guest.IP4, OpenHost, protocol, payload))
	}
	from6 := func(first byte, chain, datagram []byte) []byte {
		return Ethernet(guest, gateway, header.IPv6ProtocolNumber, Packet6("2606:2800:220::34", first, chain, datagram))
	}
	unreachable := append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, Ipv4Packet(Gateway.IP4, Guest.IP4, 17, UdpDatagram(40000, 80, nil))...)
	corpus := [][]byte{
		DhcpFrame(DhcpMessage(1, 50, 4, 192, 168, 127, 2)),
		RouterSolicit(),
		from4(6, TcpSYN(Guest.IP4, OpenHost, 1, 443)),
		from4(17, UdpDatagram(1, 9, make([]byte, 100))),
		from4(1, []byte{8, 0, 0, 0, 0, 1, 0, 1}),
		from4(1, unreachable),
		Ethernet(guest, gateway, header.IPv4ProtocolNumber, WithOptions([]byte{7, 7, 4, 0, 0, 0, 0}, UdpDatagram(1, 9, nil))),
		from6(17, nil, UdpDatagram(1, 9, make([]byte, 50))),
		from6(60, []byte{43, 0, 1, 4, 0, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 7}, UdpDatagram(1, 9, nil)),
		from6(58, nil, []byte{128, 0, 0, 0, 0, 1, 0, 1}),
		from6(58, nil, append([]byte{1, 4, 0, 0, 0, 0, 0, 0}, Packet6(Guest.IP6, 17, nil, UdpDatagram(40000, 80, nil))...)),
	}
	for _, packet := range Fragments(OpenHost, 17, 7, UdpDatagram(1, 9, make([]byte, 400)), 8, 200) {
		corpus = append(corpus, Ethernet(guest, gateway, header.IPv4ProtocolNumber, packet))
	}
	return corpus
}

func AddressOf(text string) tcpip.Address {
	return tcpip.AddrFromSlice(netip.MustParseAddr(text).AsSlice())
}

const (
	SilentHost = "203.0.113.9"
	OpenHost   = "93.184.216.34"
)

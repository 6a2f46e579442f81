package link

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const icmpErrorHeader = 8

// portUnreachable reads a guest's ICMP error about a datagram that it was sent: whose it was. The stack
// only tells its own sockets of such errors, and published UDP ports have none.
func portUnreachable(frame []byte) (id stack.TransportEndpointID, ok bool) {
	packet := frame[header.EthernetMinimumSize:]
	switch header.Ethernet(frame).Type() {
	case header.IPv4ProtocolNumber:
		ip := header.IPv4(packet)
		if !ip.IsValid(len(packet)) || ip.Protocol() != uint8(header.ICMPv4ProtocolNumber) || ip.FragmentOffset() != 0 {
			return id, false
		}
		icmp := header.ICMPv4(ip.Payload())
		if len(icmp) < icmpErrorHeader || icmp.Type() != header.ICMPv4DstUnreachable ||
			icmp.Code() != header.ICMPv4PortUnreachable {
			return id, false
		}
		return quoted4(icmp[icmpErrorHeader:])
	case header.IPv6ProtocolNumber:
		if len(packet) < header.IPv6MinimumSize+icmpErrorHeader || packet[6] != uint8(header.ICMPv6ProtocolNumber) {
			return id, false
		}
		icmp := header.ICMPv6(packet[header.IPv6MinimumSize:])
		if icmp.Type() != header.ICMPv6DstUnreachable || icmp.Code() != header.ICMPv6PortUnreachable {
			return id, false
		}
		return quoted6(icmp[icmpErrorHeader:])
	}
	return id, false
}

func quoted4(quote []byte) (id stack.TransportEndpointID, ok bool) {
	if len(quote) < header.IPv4MinimumSize {
		return id, false
	}
	size := int(header.IPv4(quote).HeaderLength())
	if size < header.IPv4MinimumSize || len(quote) < size || header.IPv4(quote).Protocol() != uint8(header.UDPProtocolNumber) {
		return id, false
	}
	return quotedPorts(netip.AddrFrom4([4]byte(quote[12:16])), netip.AddrFrom4([4]byte(quote[16:20])), quote[size:])
}

func quoted6(quote []byte) (id stack.TransportEndpointID, ok bool) {
	if len(quote) < header.IPv6MinimumSize || quote[6] != uint8(header.UDPProtocolNumber) {
		return id, false
	}
	source, dest := netip.AddrFrom16([16]byte(quote[8:24])), netip.AddrFrom16([16]byte(quote[24:40]))
	return quotedPorts(source, dest, quote[header.IPv6MinimumSize:])
}

// quotedPorts names the flow: what was quoted went to the guest.
func quotedPorts(source, dest netip.Addr, ports []byte) (id stack.TransportEndpointID, ok bool) {
	if len(ports) < 4 {
		return id, false
	}
	from := netip.AddrPortFrom(source, binary.BigEndian.Uint16(ports))
	to := netip.AddrPortFrom(dest, binary.BigEndian.Uint16(ports[2:]))
	return UDPFlow(from, to), true
}

// UDPFlow names a flow by the guest's and the other side's endpoints.
func UDPFlow(other, guest netip.AddrPort) stack.TransportEndpointID {
	return stack.TransportEndpointID{
		LocalAddress: tcpip.AddrFromSlice(other.Addr().AsSlice()), LocalPort: other.Port(),
		RemoteAddress: tcpip.AddrFromSlice(guest.Addr().AsSlice()), RemotePort: guest.Port(),
	}
}

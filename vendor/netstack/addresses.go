package main

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// gatewayLinkLocal is the gateway's address in router advertisements.
var gatewayLinkLocal = netip.MustParseAddr("fe80::1")

// linkAddresses are the two ends of the cable. There is exactly one guest on it, so whatever claims
// to be somebody else is forged.
type linkAddresses struct {
	guestMAC, gatewayMAC tcpip.LinkAddress
	guest4, gateway4     netip.Addr
	guest6, gateway6     netip.Addr
}

func parseLinkAddresses(guest, gateway endpoint) (linkAddresses, error) {
	var a linkAddresses
	for _, field := range []struct {
		text string
		into *tcpip.LinkAddress
	}{{guest.MAC, &a.guestMAC}, {gateway.MAC, &a.gatewayMAC}} {
		mac, err := net.ParseMAC(field.text)
		if err != nil || len(mac) != 6 {
			return a, fmt.Errorf("config: bad MAC address %q", field.text)
		}
		*field.into = tcpip.LinkAddress(mac)
	}
	for _, field := range []struct {
		text string
		v4   bool
		into *netip.Addr
	}{
		{guest.IP4, true, &a.guest4}, {gateway.IP4, true, &a.gateway4},
		{guest.IP6, false, &a.guest6}, {gateway.IP6, false, &a.gateway6},
	} {
		addr, err := netip.ParseAddr(field.text)
		if err != nil || addr.Is4() != field.v4 {
			return a, fmt.Errorf("config: bad address %q", field.text)
		}
		*field.into = addr
	}
	return a, nil
}

// gatewayFor is the gateway's address in the family of one of the guest's.
func (a *linkAddresses) gatewayFor(guest netip.Addr) netip.Addr {
	if guest.Is4() {
		return a.gateway4
	}
	return a.gateway6
}

// admits tells whether a frame may reach the stack: from this guest's MAC and IP address, to the
// gateway or a group, of a type the stack speaks. VLAN tags and other types end here.
func (a *linkAddresses) admits(frame []byte) bool {
	eth := header.Ethernet(frame)
	if eth.SourceAddress() != a.guestMAC {
		return false
	}
	if to := eth.DestinationAddress(); to != a.gatewayMAC && to[0]&1 == 0 {
		return false
	}
	payload := frame[header.EthernetMinimumSize:]
	switch eth.Type() {
	case header.IPv4ProtocolNumber:
		if len(payload) < header.IPv4MinimumSize {
			return false
		}
		dest := netip.AddrFrom4([4]byte(payload[16:20]))
		return bytes.Equal(payload[12:16], a.guest4.AsSlice()) && !a.isNobody(dest)
	case header.IPv6ProtocolNumber:
		if len(payload) < header.IPv6MinimumSize {
			return false
		}
		source, dest := netip.AddrFrom16([16]byte(payload[8:24])), netip.AddrFrom16([16]byte(payload[24:40]))
		if a.isNobody(dest) {
			return false
		}
		// Link-local and unspecified sources only speak neighbour discovery.
		return a.owns6(source) || (source.IsLinkLocalUnicast() || source.IsUnspecified()) &&
			payload[6] == uint8(header.ICMPv6ProtocolNumber)
	case arp.ProtocolNumber:
		packet := header.ARP(payload)
		if len(payload) < header.ARPSize || !packet.IsValid() {
			return false
		}
		sender := [4]byte(packet.ProtocolAddressSender())
		return sender == a.guest4.As4() || sender == [4]byte{}
	}
	return false
}

// isNobody tells whether an address would be on the cable, where there is only the gateway. To the host it
// would be one like any other, of some network of its own.
func (a *linkAddresses) isNobody(dest netip.Addr) bool {
	gateway, bits := a.gateway4, subnet4Bits
	if dest.Is6() {
		gateway, bits = a.gateway6, prefixLength
	}
	subnet, _ := gateway.Prefix(bits)
	return subnet.Contains(dest) && dest != gateway
}

// owns6 tells whether an address is the guest's: all of the prefix is that the gateway advertises for
// autoconfiguration (RFC 4862), since nobody else is on the cable, but for the gateway's own.
func (a *linkAddresses) owns6(addr netip.Addr) bool {
	prefix, _ := a.gateway6.Prefix(prefixLength)
	return prefix.Contains(addr) && addr != a.gateway6 && addr != prefix.Addr()
}

// answer gives the reply to frames that the gateway answers by itself, or nil.
func (a *linkAddresses) answer(frame []byte, mtu uint32) []byte {
	if header.Ethernet(frame).SourceAddress() != a.guestMAC {
		return nil
	}
	if reply := a.answerDHCP(frame, mtu); reply != nil {
		return reply
	}
	return a.answerRouterSolicit(frame, mtu)
}

// claimsForeign tells whether a packet of the stack's own is an ARP reply or neighbour advertisement
// for an address that is not the gateway's. The stack answers for every address while it accepts
// packets for every address, and the guest's duplicate address detection would fail on that.
func (a *linkAddresses) claimsForeign(packet *stack.PacketBuffer) bool {
	switch packet.NetworkProtocolNumber {
	case header.ARPProtocolNumber:
		reply := header.ARP(packet.NetworkHeader().Slice())
		return reply.IsValid() && reply.Op() == header.ARPReply &&
			[4]byte(reply.ProtocolAddressSender()) != a.gateway4.As4()
	case ipv6.ProtocolNumber:
		transport := packet.TransportHeader().Slice()
		if packet.TransportProtocolNumber != header.ICMPv6ProtocolNumber ||
			len(transport) < header.ICMPv6NeighborAdvertMinimumSize ||
			header.ICMPv6(transport).Type() != header.ICMPv6NeighborAdvert {
			return false
		}
		target := netip.AddrFrom16([16]byte(transport[8:24]))
		return target != a.gateway6 && target != gatewayLinkLocal
	}
	return false
}

package link

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
	"sbx.dev/netstack/internal/control"
)

// GatewayLinkLocal is the gateway's address in router advertisements.
var GatewayLinkLocal = netip.MustParseAddr("fe80::1")

// Subnet4Bits is the size of the cable's IPv4 network, as DHCP says it.
const Subnet4Bits = 24

// Addresses are the two ends of the cable. There is exactly one guest on it, so whatever claims
// to be somebody else is forged.
type Addresses struct {
	guestMAC, gatewayMAC tcpip.LinkAddress
	Guest4, Gateway4     netip.Addr
	Guest6, Gateway6     netip.Addr
}

func ParseAddresses(guest, gateway control.Endpoint) (Addresses, error) {
	var a Addresses
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
		{guest.IP4, true, &a.Guest4}, {gateway.IP4, true, &a.Gateway4},
		{guest.IP6, false, &a.Guest6}, {gateway.IP6, false, &a.Gateway6},
	} {
		addr, err := netip.ParseAddr(field.text)
		if err != nil || addr.Is4() != field.v4 {
			return a, fmt.Errorf("config: bad address %q", field.text)
		}
		*field.into = addr
	}
	return a, nil
}

// GatewayFor is the gateway's address in the family of one of the guest's.
func (a *Addresses) GatewayFor(guest netip.Addr) netip.Addr {
	if guest.Is4() {
		return a.Gateway4
	}
	return a.Gateway6
}

// admits tells whether a frame may reach the stack: from this guest's MAC and IP address, to the
// gateway or a group, of a type the stack speaks. VLAN tags and other types end here.
func (a *Addresses) admits(frame []byte) bool {
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
		return bytes.Equal(payload[12:16], a.Guest4.AsSlice()) && !a.isNobody(dest)
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
		return sender == a.Guest4.As4() || sender == [4]byte{}
	}
	return false
}

// isNobody tells whether an address would be on the cable, where there is only the gateway. To the host it
// would be one like any other, of some network of its own.
func (a *Addresses) isNobody(dest netip.Addr) bool {
	gateway, bits := a.Gateway4, Subnet4Bits
	if dest.Is6() {
		gateway, bits = a.Gateway6, PrefixLength
	}
	subnet, _ := gateway.Prefix(bits)
	return subnet.Contains(dest) && dest != gateway
}

// owns6 tells whether an address is the guest's: all of the prefix is that the gateway advertises for
// autoconfiguration (RFC 4862), since nobody else is on the cable, but for the gateway's own.
func (a *Addresses) owns6(addr netip.Addr) bool {
	prefix, _ := a.Gateway6.Prefix(PrefixLength)
	return prefix.Contains(addr) && addr != a.Gateway6 && addr != prefix.Addr()
}

// answer gives the reply to frames that the gateway answers by itself, which can be none; `own` tells
// whether the frame was one.
func (a *Addresses) answer(frame []byte, mtu uint32) (reply []byte, own bool) {
	if header.Ethernet(frame).SourceAddress() != a.guestMAC {
		return nil, false
	}
	if a.isDHCP(frame) {
		return a.answerDHCP(frame, mtu), true
	}
	reply = a.answerRouterSolicit(frame, mtu)
	return reply, reply != nil
}

// claimsForeign tells whether a packet of the stack's own is an ARP reply or neighbour advertisement
// for an address that is not the gateway's. The stack answers for every address while it accepts
// packets for every address, and the guest's duplicate address detection would fail on that.
func (a *Addresses) claimsForeign(packet *stack.PacketBuffer) bool {
	switch packet.NetworkProtocolNumber {
	case header.ARPProtocolNumber:
		reply := header.ARP(packet.NetworkHeader().Slice())
		return reply.IsValid() && reply.Op() == header.ARPReply &&
			[4]byte(reply.ProtocolAddressSender()) != a.Gateway4.As4()
	case ipv6.ProtocolNumber:
		transport := packet.TransportHeader().Slice()
		if packet.TransportProtocolNumber != header.ICMPv6ProtocolNumber ||
			len(transport) < header.ICMPv6NeighborAdvertMinimumSize ||
			header.ICMPv6(transport).Type() != header.ICMPv6NeighborAdvert {
			return false
		}
		target := netip.AddrFrom16([16]byte(transport[8:24]))
		return target != a.Gateway6 && target != GatewayLinkLocal
	}
	return false
}

package link

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

const (
	// routerLifetime in seconds; a sandbox that lives longer solicits again (RFC 4861 6.2.1).
	routerLifetime = 9000
	PrefixLength   = 64
)

// answerRouterSolicit answers a router solicitation (RFC 4861 4.1) with the gateway as default
// router, the sandbox's prefix for autoconfiguration, the MTU, and the gateway as resolver (RFC 8106).
func (a *Addresses) answerRouterSolicit(frame []byte, mtu uint32) []byte {
	const icmp = header.EthernetMinimumSize + header.IPv6MinimumSize
	eth := header.Ethernet(frame)
	if eth.Type() != header.IPv6ProtocolNumber || len(frame) < icmp+8 ||
		frame[header.EthernetMinimumSize+6] != uint8(header.ICMPv6ProtocolNumber) ||
		header.ICMPv6(frame[icmp:]).Type() != header.ICMPv6RouterSolicit {
		return nil
	}
	body := make([]byte, 0, 96)
	body = append(body, uint8(header.ICMPv6RouterAdvert), 0, 0, 0)
	body = append(body, 64, 0) // hop limit; no flags: addresses come from the prefix
	body = binary.BigEndian.AppendUint16(body, routerLifetime)
	body = append(body, 0, 0, 0, 0, 0, 0, 0, 0)
	body = append(append(body, 1, 1), a.gatewayMAC...)                  // source link-layer address
	body = binary.BigEndian.AppendUint32(append(body, 5, 1, 0, 0), mtu) // MTU
	body = append(body, 3, 4, PrefixLength, 0xc0)                       // prefix: on-link, autonomous
	body = binary.BigEndian.AppendUint32(body, routerLifetime*4)        // valid
	body = binary.BigEndian.AppendUint32(body, routerLifetime)          // preferred
	prefix, _ := a.Gateway6.Prefix(PrefixLength)
	body = append(append(body, 0, 0, 0, 0), prefix.Addr().AsSlice()...)
	body = binary.BigEndian.AppendUint32(append(body, 25, 3, 0, 0), routerLifetime)
	body = append(body, a.Gateway6.AsSlice()...) // recursive DNS server

	reply := make([]byte, icmp, icmp+len(body))
	all := header.IPv6AllNodesMulticastAddress
	header.Ethernet(reply).Encode(&header.EthernetFields{
		SrcAddr: a.gatewayMAC,
		DstAddr: eth.SourceAddress(),
		Type:    header.IPv6ProtocolNumber,
	})
	source := tcpip.AddrFrom16(GatewayLinkLocal.As16())
	header.IPv6(reply[header.EthernetMinimumSize:]).Encode(&header.IPv6Fields{
		PayloadLength:     uint16(len(body)),
		TransportProtocol: header.ICMPv6ProtocolNumber,
		HopLimit:          255,
		SrcAddr:           source,
		DstAddr:           all,
	})
	header.ICMPv6(body).SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{
		Header: body, Src: source, Dst: all,
	}))
	return append(reply, body...)
}

package gateway

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// unreachableKind is why a packet got nowhere, with its ICMP code in each family.
type unreachableKind struct {
	v4 header.ICMPv4Code
	v6 header.ICMPv6Code
}

var (
	unreachableHost  = unreachableKind{header.ICMPv4HostUnreachable, header.ICMPv6AddressUnreachable}
	unreachablePort  = unreachableKind{header.ICMPv4PortUnreachable, header.ICMPv6PortUnreachable}
	unreachableAdmin = unreachableKind{header.ICMPv4AdminProhibited, header.ICMPv6Prohibited}
)

// quoteOf copies what an ICMP error must quote: the IP header and the first 8 bytes after it.
func quoteOf(packet *stack.PacketBuffer) []byte {
	ip, transport := packet.NetworkHeader().Slice(), packet.TransportHeader().Slice()
	quote := make([]byte, 0, len(ip)+8)
	quote = append(quote, ip...)
	return append(quote, transport[:min(8, len(transport))]...)
}

// sendUnreachable tells the guest that the quoted packet of its flow was not delivered. The error
// comes from the address the guest wanted, which needs no route of its own.
func (g *Gateway) sendUnreachable(quote []byte, id stack.TransportEndpointID, kind unreachableKind) {
	guest, source := id.RemoteAddress, id.LocalAddress
	body := make([]byte, 8+len(quote))
	copy(body[8:], quote)
	protocol, transport := ipv4.ProtocolNumber, header.ICMPv4ProtocolNumber
	if guest.BitLen() == 128 {
		protocol, transport = ipv6.ProtocolNumber, header.ICMPv6ProtocolNumber
		message := header.ICMPv6(body)
		message.SetType(header.ICMPv6DstUnreachable)
		message.SetCode(kind.v6)
		message.SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{
			Header: message, Src: source, Dst: guest,
		}))
	} else {
		message := header.ICMPv4(body)
		message.SetType(header.ICMPv4DstUnreachable)
		message.SetCode(kind.v4)
		message.SetChecksum(^checksum.Checksum(body, 0))
	}
	g.writePacket(protocol, transport, source, guest, body)
}

// writePacket sends a transport message to the guest as if it came from source.
func (g *Gateway) writePacket(
	network tcpip.NetworkProtocolNumber, transport tcpip.TransportProtocolNumber,
	source, guest tcpip.Address, message []byte,
) {
	route, err := g.stack.FindRoute(nicID, source, guest, network, false)
	if err != nil {
		return
	}
	defer route.Release()
	packet := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: int(route.MaxHeaderLength()),
		Payload:            buffer.MakeWithData(message),
	})
	defer packet.DecRef()
	route.WritePacket(stack.NetworkHeaderParams{Protocol: transport, TTL: 64}, packet)
}

package link

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// DHCP as far as one guest with one fixed address needs it (RFC 2131, RFC 2132).
const (
	dhcpServerPort = 67
	dhcpClientPort = 68
	DhcpHead       = 240 // fixed fields and the magic cookie
	dhcpMagic      = 0x63825363

	DhcpDiscover = 1
	dhcpOffer    = 2
	dhcpRequest  = 3
	dhcpAck      = 5
	dhcpNak      = 6
	dhcpInform   = 8

	// leaseSeconds is longer than any sandbox lives; clients renew at half of it.
	leaseSeconds = 86400
)

// isDHCP tells whether a frame is for the cable's DHCP server: from a client, to everybody or to the
// gateway. A message to another address is a flow like any other.
func (a *Addresses) isDHCP(frame []byte) bool {
	if dhcpPayload(frame) == nil {
		return false
	}
	to := header.IPv4(frame[header.EthernetMinimumSize:]).DestinationAddress()
	return to == header.IPv4Broadcast || to == tcpip.AddrFrom4(a.Gateway4.As4())
}

// answerDHCP answers DISCOVER, REQUEST and INFORM; everything else of a client (RELEASE, DECLINE)
// changes nothing, because the address is the guest's for the life of the sandbox.
func (a *Addresses) answerDHCP(frame []byte, mtu uint32) []byte {
	message := dhcpPayload(frame)
	if message == nil || message[0] != 1 || message[1] != 1 || message[2] != 6 ||
		binary.BigEndian.Uint32(message[236:]) != dhcpMagic ||
		tcpip.LinkAddress(message[28:34]) != a.guestMAC {
		return nil
	}
	kind, requested := dhcpOptions(message[DhcpHead:])
	var reply byte
	switch kind {
	case DhcpDiscover:
		reply = dhcpOffer
	case dhcpRequest:
		reply = dhcpAck
		if requested != nil && [4]byte(requested) != a.Guest4.As4() {
			reply = dhcpNak
		}
	case dhcpInform:
		reply = dhcpAck
	default:
		return nil
	}
	return a.dhcpFrame(message, kind, reply, mtu)
}

// dhcpPayload returns the message of a frame that is an unfragmented UDP datagram from a DHCP client.
func dhcpPayload(frame []byte) []byte {
	if header.Ethernet(frame).Type() != header.IPv4ProtocolNumber {
		return nil
	}
	ip := header.IPv4(frame[header.EthernetMinimumSize:])
	if len(ip) < header.IPv4MinimumSize || !ip.IsValid(len(ip)) || ip.More() || ip.FragmentOffset() != 0 ||
		ip.Protocol() != uint8(header.UDPProtocolNumber) {
		return nil
	}
	datagram := header.UDP(ip.Payload())
	if len(datagram) < header.UDPMinimumSize || datagram.DestinationPort() != dhcpServerPort ||
		datagram.SourcePort() != dhcpClientPort {
		return nil
	}
	message := datagram.Payload()
	if len(message) < DhcpHead {
		return nil
	}
	return message
}

// dhcpOptions finds the message type and the requested address; malformed options end the search.
func dhcpOptions(options []byte) (kind byte, requested []byte) {
	for len(options) >= 2 && options[0] != 255 {
		if options[0] == 0 {
			options = options[1:]
			continue
		}
		size := int(options[1])
		if len(options) < 2+size {
			break
		}
		value := options[2 : 2+size]
		switch {
		case options[0] == 53 && size == 1:
			kind = value[0]
		case options[0] == 50 && size == 4:
			requested = value
		}
		options = options[2+size:]
	}
	return kind, requested
}

func (a *Addresses) dhcpFrame(request []byte, kind, reply byte, mtu uint32) []byte {
	message := make([]byte, DhcpHead, 320)
	copy(message, []byte{2, 1, 6, 0})
	copy(message[4:8], request[4:8]) // transaction id
	copy(message[10:12], request[10:12])
	if reply != dhcpNak && kind != dhcpInform {
		copy(message[16:20], a.Guest4.AsSlice())
	}
	copy(message[28:44], request[28:44])
	binary.BigEndian.PutUint32(message[236:], dhcpMagic)
	option := func(code byte, value ...byte) {
		message = append(append(message, code, byte(len(value))), value...)
	}
	gateway := a.Gateway4.AsSlice()
	option(53, reply)
	option(54, gateway...)
	if reply != dhcpNak {
		if kind != dhcpInform {
			option(51, binary.BigEndian.AppendUint32(nil, leaseSeconds)...)
		}
		option(1, 255, 255, 255, 0)
		option(3, gateway...)
		option(6, gateway...)
		option(26, binary.BigEndian.AppendUint16(nil, uint16(min(mtu, 65535)))...)
	}
	message = append(message, 255)

	const udp = header.EthernetMinimumSize + header.IPv4MinimumSize
	const start = udp + header.UDPMinimumSize
	frame := make([]byte, start, start+len(message))
	header.Ethernet(frame).Encode(&header.EthernetFields{
		SrcAddr: a.gatewayMAC,
		DstAddr: a.guestMAC,
		Type:    header.IPv4ProtocolNumber,
	})
	ip := header.IPv4(frame[header.EthernetMinimumSize:])
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(start - header.EthernetMinimumSize + len(message)),
		TTL:         64,
		Protocol:    uint8(header.UDPProtocolNumber),
		SrcAddr:     tcpip.AddrFrom4(a.Gateway4.As4()),
		DstAddr:     header.IPv4Broadcast,
	})
	ip.SetChecksum(^ip.CalculateChecksum())
	header.UDP(frame[udp:]).Encode(&header.UDPFields{ // no checksum: optional over IPv4
		SrcPort: dhcpServerPort,
		DstPort: dhcpClientPort,
		Length:  uint16(header.UDPMinimumSize + len(message)),
	})
	return append(frame, message...)
}

package netlink

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// message is a request without its header.
type message struct {
	kind  uint16
	flags uint16
	body  []byte
}

func upMessage(index, mtu uint32) message {
	// struct ifinfomsg: family, pad, type, index, flags, mask of changed flags
	body := make([]byte, 4, 32)
	body = appendUint32(body, index, unix.IFF_UP, unix.IFF_UP)
	if mtu > 0 {
		body = appendAttribute(body, unix.IFLA_MTU, appendUint32(nil, mtu))
	}
	return message{unix.RTM_NEWLINK, 0, body}
}

func addressMessage(index uint32, prefix netip.Prefix) message {
	// struct ifaddrmsg: family, prefix length, flags, scope, index
	body := []byte{family(prefix.Addr()), byte(prefix.Bits()), unix.IFA_F_NODAD, unix.RT_SCOPE_UNIVERSE}
	body = appendUint32(body, index)
	body = appendAttribute(body, unix.IFA_LOCAL, prefix.Addr().AsSlice())
	body = appendAttribute(body, unix.IFA_ADDRESS, prefix.Addr().AsSlice())
	return message{unix.RTM_NEWADDR, unix.NLM_F_CREATE | unix.NLM_F_EXCL, body}
}

func defaultRouteMessage(index uint32, gateway netip.Addr) message {
	// struct rtmsg: family, dst length, src length, tos, table, protocol, scope, type, flags
	body := []byte{
		family(gateway), 0, 0, 0,
		unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST,
	}
	body = appendUint32(body, 0)
	body = appendAttribute(body, unix.RTA_GATEWAY, gateway.AsSlice())
	body = appendAttribute(body, unix.RTA_OIF, appendUint32(nil, index))
	return message{unix.RTM_NEWROUTE, unix.NLM_F_CREATE | unix.NLM_F_EXCL, body}
}

func family(address netip.Addr) byte {
	if address.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// encode puts struct nlmsghdr in front: length, type, flags, sequence number, port.
func (m message) encode(sequence uint32) []byte {
	b := appendUint32(nil, uint32(unix.SizeofNlMsghdr+len(m.body)))
	b = binary.NativeEndian.AppendUint16(b, m.kind)
	b = binary.NativeEndian.AppendUint16(b, m.flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	b = appendUint32(b, sequence, 0)
	return append(b, m.body...)
}

func appendAttribute(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	for len(b)%unix.RTA_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}

func appendUint32(b []byte, values ...uint32) []byte {
	for _, v := range values {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

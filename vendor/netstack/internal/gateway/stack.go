package gateway

import (
	"fmt"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/qdisc/fifo"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"sbx.dev/netstack/internal/link"
)

const (
	nicID = 1
	// txQueue bounds the packets that wait for a slow guest; beyond it they are dropped.
	txQueue = 1024
	// bufferMax lets auto-tuning grow to the bandwidth of a local link with a 64 KiB MTU.
	bufferDefault = 1 << 20
	bufferMax     = 4 << 20
)

// newStack builds the stack that terminates the guest's flows. It accepts packets for every address
// and has routes only to the guest, so an answer to a forged source has nowhere to go.
func newStack(l *link.Cable) (*stack.Stack, error) {
	s := stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{
			ipv4.NewProtocol,
			arp.NewProtocol,
			ipv6.NewProtocolWithOptions(ipv6.Options{
				DADConfigs: stack.DADConfigurations{DupAddrDetectTransmits: 0},
			}),
		},
		TransportProtocols: []stack.TransportProtocolFactory{
			tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6,
		},
	})
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4 << 10, Default: bufferDefault, Max: bufferMax}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4 << 10, Default: bufferDefault, Max: bufferMax}
	sack := tcpip.TCPSACKEnabled(true)
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	timeWait := tcpip.TCPTimeWaitTimeoutOption(timeWaitTimeout)
	for _, option := range []tcpip.SettableTransportProtocolOption{&receive, &send, &sack, &moderate, &timeWait} {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, option); err != nil {
			return nil, fmt.Errorf("tcp option %T: %s", option, err)
		}
	}
	if err := s.CreateNICWithOptions(nicID, l, stack.NICOptions{QDisc: fifo.New(l, 1, txQueue)}); err != nil {
		return nil, fmt.Errorf("nic: %s", err)
	}
	for _, addr := range []netip.Addr{l.Addrs.Gateway4, l.Addrs.Gateway6, link.GatewayLinkLocal} {
		protocol := tcpip.ProtocolAddress{
			Protocol:          protocolOf(addr),
			AddressWithPrefix: tcpip.AddrFromSlice(addr.AsSlice()).WithPrefix(),
		}
		if err := s.AddProtocolAddress(nicID, protocol, stack.AddressProperties{}); err != nil {
			return nil, fmt.Errorf("address %s: %s", addr, err)
		}
	}
	if err := s.SetSpoofing(nicID, true); err != nil {
		return nil, fmt.Errorf("spoofing: %s", err)
	}
	if err := s.SetPromiscuousMode(nicID, true); err != nil {
		return nil, fmt.Errorf("promiscuous: %s", err)
	}
	s.SetRouteTable([]tcpip.Route{
		{Destination: subnetOf(l.Addrs.Guest4, link.Subnet4Bits), NIC: nicID},
		{Destination: subnetOf(l.Addrs.Guest6, link.PrefixLength), NIC: nicID},
		{Destination: header.IPv6LinkLocalPrefix.Subnet(), NIC: nicID},
	})
	return s, nil
}

func subnetOf(addr netip.Addr, bits int) tcpip.Subnet {
	prefix, _ := addr.Prefix(bits)
	mask := tcpip.MaskFromBytes(prefixMask(bits, len(addr.AsSlice())))
	subnet, _ := tcpip.NewSubnet(tcpip.AddrFromSlice(prefix.Addr().AsSlice()), mask)
	return subnet
}

func prefixMask(bits, size int) []byte {
	mask := make([]byte, size)
	for i := range bits {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return mask
}

func protocolOf(addr netip.Addr) tcpip.NetworkProtocolNumber {
	if addr.Is4() {
		return ipv4.ProtocolNumber
	}
	return ipv6.ProtocolNumber
}

// addrOf turns the stack's address into the standard library's.
func addrOf(addr tcpip.Address) netip.Addr {
	result, _ := netip.AddrFromSlice(addr.AsSlice())
	return result
}

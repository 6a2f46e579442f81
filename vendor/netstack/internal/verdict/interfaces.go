package verdict

import (
	"net"
	"net/netip"
)

// isOf tells whether an address is one of interfaces, which have addresses like `192.0.2.1/24`, or one under
// which their networks have this machine among others: the broadcast address of IPv4, the subnet-router
// anycast address of IPv6.
func isOf(interfaces []net.Addr, addr netip.Addr) bool {
	for _, one := range interfaces {
		prefix, err := netip.ParsePrefix(one.String())
		if err == nil && (addr == prefix.Addr() || isShared(prefix.Masked(), addr)) {
			return true
		}
	}
	return false
}

func isShared(network netip.Prefix, addr netip.Addr) bool {
	if network.Bits() >= addr.BitLen()-1 || !network.Contains(addr) {
		return false
	}
	if addr.Is6() {
		return addr == network.Addr()
	}
	last := network.Addr().As4()
	for bit := network.Bits(); bit < 32; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	return addr == netip.AddrFrom4(last) || addr == network.Addr()
}

//go:build !linux

package verdict

import (
	"errors"
	"net"
	"net/netip"
)

// routes knows what is this machine's own. There is no question to the kernel here that answers for all
// kinds, so it is asked for its interfaces, down ones included, at each dial: their addresses, the
// broadcast address of their IPv4 networks and the subnet-router anycast address of their IPv6 networks.
// Blocks that are routed to the loopback interface are not seen.
type routes struct{}

func openRoutes() (*routes, error) { return &routes{}, nil }

func (*routes) isOwn(_ string, to netip.AddrPort) (bool, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return false, errors.Join(errRoute, err)
	}
	for _, address := range addresses {
		prefix, err := netip.ParsePrefix(address.String())
		if err != nil {
			continue
		}
		if to.Addr() == prefix.Addr() || isShared(prefix.Masked(), to.Addr()) {
			return true, nil
		}
	}
	return false, nil
}

// isShared tells whether the address is one under which all members of the network, or all its routers,
// are reached.
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

// WatchRoutes has nothing to watch: sbx tells of addresses that change.
func WatchRoutes(func(), func(string)) error { return nil }

package machine

import (
	"fmt"
	"net/netip"
	"os"

	"sbx.dev/agent/internal/netlink"
)

const (
	loopback = "lo"
	cable    = "eth0"
)

// Network is static: the host knows both ends of the cable, and DHCP would cost a round of waiting.
type Network struct {
	MTU      uint32     `json:"mtu"`
	Guest4   netip.Addr `json:"guest4"`
	Gateway4 netip.Addr `json:"gateway4"`
	Guest6   netip.Addr `json:"guest6"`
	Gateway6 netip.Addr `json:"gateway6"`
}

const (
	prefix4 = 24
	prefix6 = 64
)

func bringUpLoopback() error {
	link, err := netlink.Open(loopback)
	if err != nil {
		return err
	}
	defer link.Close()
	return link.Up(0)
}

func bringUp(n Network) error {
	// Duplicate address detection would hold the first second back, and nothing that a router
	// advertisement could say is not known already.
	for _, name := range []string{"accept_dad", "accept_ra", "router_solicitations"} {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+cable+"/"+name, []byte("0"), 0); err != nil {
			return err
		}
	}
	link, err := netlink.Open(cable)
	if err != nil {
		return err
	}
	defer link.Close()
	if err := link.Up(n.MTU); err != nil {
		return err
	}
	for _, family := range []struct {
		guest, gateway netip.Addr
		bits           int
	}{{n.Guest4, n.Gateway4, prefix4}, {n.Guest6, n.Gateway6, prefix6}} {
		if !family.guest.IsValid() || !family.gateway.IsValid() {
			return fmt.Errorf("an address of the network is missing")
		}
		if err := link.AddAddress(netip.PrefixFrom(family.guest, family.bits)); err != nil {
			return err
		}
		if err := link.AddDefaultRoute(family.gateway); err != nil {
			return err
		}
	}
	return nil
}

package main

import (
	"errors"
	"net/netip"
	"sync/atomic"
)

// never lists what is not dialled for a guest unless the verdict names the dial address itself: a
// verdict that was meant for the internet must not reach the host, its neighbours' loopback or a
// translator, whatever went wrong before it.
var never = parsePrefixes(
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
	"::/128", "::1/128", "fe80::/10", "ff00::/8",
	"::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16",
)

var errGuard = errors.New("address is never dialled without an explicit dial address")

func parsePrefixes(texts ...string) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		prefixes[i] = netip.MustParsePrefix(text)
	}
	return prefixes
}

// guard knows the addresses of the host, which change while a sandbox lives.
type guard struct {
	host atomic.Pointer[map[netip.Addr]bool]
}

// setHost replaces the host's addresses; texts that are no addresses are ignored.
func (g *guard) setHost(texts []string) {
	set := map[netip.Addr]bool{}
	for _, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil {
			set[addr.Unmap().WithZone("")] = true
		}
	}
	g.host.Store(&set)
}

// check refuses addresses that an implicit dial must not reach.
func (g *guard) check(addr netip.Addr) error {
	if addr.Is4In6() {
		return errGuard
	}
	for _, prefix := range never {
		if prefix.Contains(addr) {
			return errGuard
		}
	}
	if host := g.host.Load(); host != nil && (*host)[addr] {
		return errGuard
	}
	return nil
}

// dialTarget is the address to dial: the explicit one of the verdict, or the judged one if the guard
// lets it pass.
func (g *guard) dialTarget(verdict fromSbx, judged netip.AddrPort) (netip.AddrPort, error) {
	if verdict.Dial != "" {
		return netip.ParseAddrPort(verdict.Dial)
	}
	return judged, g.check(judged.Addr())
}

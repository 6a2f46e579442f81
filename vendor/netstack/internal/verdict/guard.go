// Package verdict keeps verdicts that may be repeated, and the rails that hold whatever a verdict says.
package verdict

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"sbx.dev/netstack/internal/control"
)

// never lists what is not dialled for a guest unless the verdict names the dial address itself: a
// verdict that was meant for the internet must not reach the host, its neighbours' loopback or a
// translator, whatever went wrong before it.
var never = parsePrefixes(
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
	"::/128", "::1/128", "fe80::/10", "ff00::/8",
	"::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16",
)

var (
	ErrGuard = errors.New("address is never dialled without an explicit dial address")
	errRoute = errors.New("the kernel does not say where the address leads")
)

// routePause keeps a host whose routes flap from costing more than the looking.
const routePause = 20 * time.Millisecond

func parsePrefixes(texts ...string) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		prefixes[i] = netip.MustParsePrefix(text)
	}
	return prefixes
}

// Guard knows what of the host an implicit dial must not reach: what sbx says are its addresses, and what
// its kernel says when it is asked, which is at each dial.
type Guard struct {
	host   atomic.Pointer[map[netip.Addr]bool]
	routes *routes
}

// NewGuard asks this machine's kernel.
func NewGuard() (*Guard, error) {
	routes, err := openRoutes()
	if err != nil {
		return nil, err
	}
	return &Guard{routes: routes}, nil
}

// SetHost replaces the host's addresses; texts that are no addresses are ignored.
func (g *Guard) SetHost(texts []string) {
	set := map[netip.Addr]bool{}
	for _, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil {
			set[addr.Unmap().WithZone("")] = true
		}
	}
	g.host.Store(&set)
}

// IsOwn tells whether the address is one of the host's, as far as is known before a dial.
func (g *Guard) IsOwn(proto string, to netip.AddrPort) bool {
	if host := g.host.Load(); host != nil && (*host)[to.Addr()] {
		return true
	}
	own, err := g.routes.isOwn(proto, to)
	return err == nil && own
}

// Check refuses destinations that an implicit dial must not reach, and those that the kernel would not
// send to. It is asked last thing before a dial: what was true when the verdict was given need not be any
// more.
func (g *Guard) Check(proto string, to netip.AddrPort) error {
	addr := to.Addr()
	if !addr.IsValid() || addr.Is4In6() {
		return ErrGuard
	}
	for _, prefix := range never {
		if prefix.Contains(addr) {
			return ErrGuard
		}
	}
	if host := g.host.Load(); host != nil && (*host)[addr] {
		return ErrGuard
	}
	switch own, err := g.routes.isOwn(proto, to); {
	case errors.Is(err, errRoute):
		return ErrGuard
	case err != nil:
		return err
	case own:
		return ErrGuard
	}
	return nil
}

// DialTarget is the address to dial: the explicit one of the verdict, or the judged one if the guard
// lets it pass.
func (g *Guard) DialTarget(verdict control.Message, info control.FlowInfo) (netip.AddrPort, error) {
	if verdict.Dial != "" {
		return netip.ParseAddrPort(verdict.Dial)
	}
	to := info.Destination()
	return to, g.Check(info.Proto, to)
}

// MayServe tells whether a flow may be handed to sbx, which dials what netstack would have.
func (g *Guard) MayServe(verdict control.Message, info control.FlowInfo) error {
	if verdict.Serve {
		return nil
	}
	_, err := g.DialTarget(verdict, info)
	return err
}

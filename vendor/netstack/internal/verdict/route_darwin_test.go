package verdict

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// On whatever Mac it runs.
func TestTheKernelSaysWhatIsItsOwn(t *testing.T) {
	g := testGuard(t)
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range interfaces {
		prefix, err := netip.ParsePrefix(one.String())
		if err != nil {
			continue
		}
		if own, err := g.routes.isOwn("tcp", netip.AddrPortFrom(prefix.Addr(), 80)); !own || err != nil {
			t.Errorf("%s: not the host's own, %v", prefix, err)
		}
		found, err := g.routes.routeTo(prefix.Addr().WithZone(""))
		if err != nil {
			t.Errorf("%s: %v", prefix, err)
		} else if interfaceOf(found) == 0 {
			t.Errorf("%s: its route has no interface", prefix)
		}
	}
	own, err := g.routes.isOwn("tcp", netip.MustParseAddrPort("127.9.9.9:80"))
	if !own || err != nil {
		t.Errorf("loopback's block: %v, %v", own, err)
	}
	own, err = g.routes.isOwn("tcp", netip.MustParseAddrPort("93.184.216.34:80"))
	if own || err != nil && err != unix.ENETUNREACH {
		t.Errorf("an address of the internet: %v, %v", own, err)
	}
}

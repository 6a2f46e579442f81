package verdict

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"sbx.dev/netstack/internal/nettest"
)

// inNamespace runs the calling test once more in a network namespace of its own, and tells whether this is
// that run. `lines` are for `ip -batch` there.
func inNamespace(t *testing.T, lines ...string) bool {
	t.Helper()
	if os.Getenv("SBX_TEST_NAMESPACE") == t.Name() {
		ip(t, lines...)
		return true
	}
	child := exec.Command("unshare", "--user", "--map-root-user", "--net", os.Args[0],
		"-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), "SBX_TEST_NAMESPACE="+t.Name())
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("in a namespace: %v\n%s", err, out)
	}
	return false
}

func ip(t *testing.T, lines ...string) {
	t.Helper()
	child := exec.Command("ip", "-batch", "-")
	child.Stdin = strings.NewReader(strings.Join(lines, "\n"))
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("ip: %v\n%s", err, out)
	}
}

var ownNetwork = []string{
	"link set lo up",
	"link add up0 type veth peer name up1", "link set up0 up", "link set up1 up",
	"addr add 151.101.9.2/24 dev up0",
	"addr add 2606:4700:9::2/64 dev up0 nodad",
	"link add down0 type veth peer name down1", "addr add 151.101.10.2/24 dev down0",
	"addr add 2606:4700:a::2/64 dev down0 nodad",
	"route add local 203.0.113.0/24 dev lo", "route add local 2001:db8:5::/48 dev lo",
	"route add default via 151.101.9.1", "route add default via 2606:4700:9::1",
	"route add blackhole 198.51.100.0/24", "route add unreachable 2001:db8:6::/48",
}

func TestTheKernelSaysWhatIsItsOwn(t *testing.T) {
	if !inNamespace(t, ownNetwork...) {
		return
	}
	// A router answers for its networks' anycast addresses.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	g := testGuard(t)
	for text, why := range map[string]string{
		"151.101.9.2": "an address", "2606:4700:9::2": "an address",
		"151.101.10.2": "an address of an interface that is down",
		"203.0.113.77": "a block routed to lo", "2001:db8:5::77": "a block routed to lo",
		"151.101.9.255": "directed broadcast", "2606:4700:9::": "subnet-router anycast",
	} {
		for _, proto := range []string{"tcp", "udp", "icmpv4"} {
			to := netip.AddrPortFrom(netip.MustParseAddr(text), 80)
			if own, err := g.routes.isOwn(proto, to); !own || err != nil {
				t.Errorf("%s, %s: not the host's own, %v", text, why, err)
			}
		}
		if !isGuarded(g, text) {
			t.Errorf("%s, %s: passes", text, why)
		}
	}
	for _, text := range []string{
		"93.184.216.34", "2606:2800:220::34", "151.101.9.3", "2606:4700:9::3", "10.9.9.9",
	} {
		if err := g.Check("tcp", netip.AddrPortFrom(netip.MustParseAddr(text), 80)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, errno := range map[string]error{
		"198.51.100.7": unix.EINVAL, "2001:db8:6::1": unix.EHOSTUNREACH,
	} {
		if err := g.Check("udp", netip.AddrPortFrom(netip.MustParseAddr(text), 80)); !errors.Is(err, errno) {
			t.Errorf("%s: %v, not %v", text, err, errno)
		}
	}
	// What was not the host's a moment ago.
	for _, text := range []string{"151.101.11.7/32", "2606:4700:b::7/128"} {
		addr := netip.MustParsePrefix(text).Addr().String()
		if isGuarded(g, addr) {
			t.Errorf("%s is guarded before it is the host's", addr)
		}
		ip(t, "addr add "+text+" dev up0"+map[bool]string{true: " nodad"}[strings.Contains(text, ":")])
		// The kernel makes an IPv6 address its own a moment after it has it.
		nettest.Settle(t, addr+" to be guarded when it is the host's", func() bool { return isGuarded(g, addr) })
	}
}

func TestRulesOfPolicyRoutingAreFollowed(t *testing.T) {
	if !inNamespace(t, append(ownNetwork,
		"route add local 192.0.2.0/24 dev lo table 77", "rule add ipproto tcp dport 8080 table 77",
	)...) {
		return
	}
	g := testGuard(t)
	addr := netip.MustParseAddr("192.0.2.7")
	for port, want := range map[uint16]bool{8080: true, 8081: false} {
		if own, err := g.routes.isOwn("tcp", netip.AddrPortFrom(addr, port)); own != want || err != nil {
			t.Errorf("port %d: own %v, %v", port, own, err)
		}
	}
}

func TestWhatBecomesTheHostsIsTold(t *testing.T) {
	if !inNamespace(t, ownNetwork...) {
		return
	}
	changed := make(chan struct{}, 100)
	if err := WatchRoutes(func() { changed <- struct{}{} }, func(why string) { t.Error(why) }); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"addr add 151.101.11.7/32 dev up0", "addr del 151.101.11.7/32 dev up0",
		"addr add 2606:4700:b::7/128 dev up0 nodad", "route add local 192.0.2.0/24 dev lo",
	} {
		ip(t, line)
		<-changed
	}
}

func TestRouteRepliesOfAnyShapeAreRead(t *testing.T) {
	g := testGuard(t)
	whole := routeRequest(7, "tcp", netip.MustParseAddrPort("[2606:2800:220::34]:443"))
	whole[4], whole[5] = unix.RTM_NEWROUTE, 0
	if kind, seq, ok := routeReply(whole); !ok || seq != 7 || kind.kind != 0 {
		t.Errorf("%v %d %v", kind, seq, ok)
	}
	nettest.Mutations([][]byte{whole}, 20_000, func(data []byte) { routeReply(data); concernsOwn(data) })
	for size := range whole {
		routeReply(whole[:size])
	}
	unix.Close(g.routes.fd)
	if !isGuarded(g, "93.184.216.34") {
		t.Error("a kernel that says nothing lets pass")
	}
}

func BenchmarkRoute(b *testing.B) {
	g := testGuard(b)
	to := netip.MustParseAddrPort("127.0.0.1:80")
	for b.Loop() {
		if own, err := g.routes.isOwn("tcp", to); !own || err != nil {
			b.Fatal(own, err)
		}
	}
}

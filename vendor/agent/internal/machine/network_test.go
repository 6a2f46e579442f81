package machine

import (
	"net/netip"
	"os"
	"regexp"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/nstest"
)

// makeCable gives the namespace an interface like the guest's.
func makeCable(t *testing.T) {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR, 0)
	if err != nil {
		t.Skipf("no tap device on this machine: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	request, err := unix.NewIfreq(cable)
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		t.Fatal(err)
	}
}

func TestTheNetworkIsUsableAtOnce(t *testing.T) {
	if !nstest.Run(t, syscall.CLONE_NEWNET) {
		return
	}
	makeCable(t)
	if err := bringUpLoopback(); err != nil {
		t.Fatal(err)
	}
	err := bringUp(Network{
		MTU:    1600,
		Guest4: netip.MustParseAddr("192.168.127.2"), Gateway4: netip.MustParseAddr("192.168.127.1"),
		Guest6: netip.MustParseAddr("fd73:6278::2"), Gateway6: netip.MustParseAddr("fd73:6278::1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	// Flag 0x80 is permanent, 0x40 would be tentative: not usable yet.
	for path, pattern := range map[string]string{
		"/proc/net/route":      `(?m)^eth0\t00000000\t017FA8C0\t0003\t`,
		"/proc/net/fib_trie":   `32 host LOCAL`,
		"/proc/net/ipv6_route": `(?m)^0{32} 00 0{32} 00 fd736278000000000000000000000001 .* eth0$`,
		"/proc/net/if_inet6":   `(?m)^fd736278000000000000000000000002 \w\w 40 00 82 +eth0$`,
		"/proc/net/dev":        `(?m)^ *eth0:`,
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(pattern).Match(text) {
			t.Errorf("%s does not match %s:\n%s", path, pattern, text)
		}
	}
}

func TestAMissingInterfaceIsAnError(t *testing.T) {
	if !nstest.Run(t, syscall.CLONE_NEWNET) {
		return
	}
	if err := bringUp(Network{}); err == nil {
		t.Error("a network without an interface came up")
	}
}

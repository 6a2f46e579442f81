package verdict

import (
	"net"
	"net/netip"
	"testing"
)

func TestWhatIsAnInterfacesOwn(t *testing.T) {
	var interfaces []net.Addr
	for _, text := range []string{"192.0.2.9/24", "198.51.100.4/31", "203.0.113.1/32", "2001:db8:9::2/64",
		"2001:db8:a::7/127", "2001:db8:b::1/128", "10.64.3.9/10"} {
		ip, network, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		interfaces = append(interfaces, &net.IPNet{IP: ip, Mask: network.Mask})
	}
	interfaces = append(interfaces, &net.UnixAddr{Name: "none"})
	for text, want := range map[string]bool{
		"192.0.2.9": true, "192.0.2.255": true, "192.0.2.0": true, "192.0.2.10": false, "192.0.3.255": false,
		"198.51.100.4": true, "198.51.100.5": false, // a link of two has no broadcast (RFC 3021)
		"203.0.113.1": true, "203.0.113.2": false,
		"2001:db8:9::2": true, "2001:db8:9::": true, "2001:db8:9::ffff": false,
		"2001:db8:a::7": true, "2001:db8:a::6": false, "2001:db8:b::1": true,
		"10.127.255.255": true, "10.64.0.0": true, "10.128.0.0": false, "10.64.255.255": false,
	} {
		if got := isOf(interfaces, netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

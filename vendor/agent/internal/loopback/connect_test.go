package loopback

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAServerIsTriedAtFewAddressesTheLoopbackFirst(t *testing.T) {
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf("10.0.%d.%d", i/250, i%250))
	}
	for _, row := range []struct{ found, want []string }{
		{nil, nil},
		{[]string{"0.0.0.0"}, []string{"127.0.0.1"}},
		{[]string{"::"}, []string{"127.0.0.1", "::1"}},
		{[]string{"::", "0.0.0.0", "::1"}, []string{"127.0.0.1", "::1"}},
		{[]string{"10.0.0.2", "127.0.0.53", "::1"}, []string{"::1", "10.0.0.2", "127.0.0.53"}},
		{[]string{"127.0.0.9", "127.0.0.8", "127.0.0.9"}, []string{"127.0.0.8", "127.0.0.9"}},
		{append(many, "::1"), append([]string{"::1"}, many[:maxDials-1]...)},
	} {
		if got := dialled(addrs(row.found)); !slices.Equal(got, addrs(row.want)) {
			t.Errorf("%.5s: %s, want %s", row.found, got, row.want)
		}
	}
}

func TestAServerOfEitherFamilyIsReached(t *testing.T) {
	for _, row := range []struct{ network, at string }{
		{"tcp4", "0.0.0.0:0"},
		{"tcp6", "[::]:0"}, // which Go opens for IPv6 alone
		{"tcp", "[::]:0"},
		{"tcp", "127.0.0.53:0"},
	} {
		listener, err := net.Listen(row.network, row.at)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		go func() {
			if conn, err := listener.Accept(); err == nil {
				io.WriteString(conn, "hello")
				conn.Close()
			}
		}()
		conn, err := dialServer(uint16(listener.Addr().(*net.TCPAddr).Port))
		if err != nil {
			t.Errorf("%s %s: %v", row.network, row.at, err)
			continue
		}
		conn.SetDeadline(time.Now().Add(hang))
		if heard, err := io.ReadAll(conn); err != nil || string(heard) != "hello" {
			t.Errorf("%s %s: %q, %v", row.network, row.at, heard, err)
		}
		conn.Close()
	}
}

func TestWhereNobodyListensAConnectionIsRefused(t *testing.T) {
	listener, port := serve(t, "[::1]:0", echo)
	listener.Close()
	if _, err := dialServer(port); err == nil || !strings.Contains(err.Error(), "nobody listens") {
		t.Errorf("%v", err)
	}
}

func addrs(texts []string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

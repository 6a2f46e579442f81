package loopback

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestListenersAreFoundAtTheirAddresses(t *testing.T) {
	const port = 8000
	for _, row := range []struct{ at, state, want string }{
		{"0100007F:1F40", "0A", "127.0.0.1"},
		{"3500007F:1F40", "0A", "127.0.0.53"},
		{"00000000000000000000000001000000:1F40", "0A", "::1"},
		{"0000000000000000FFFF00000100007F:1F40", "0A", "127.0.0.1"},
		{"0100007F:1F41", "0A", ""}, // another port
		{"0100007F:1F40", "01", ""}, // a connection
		{"0100007F:1F40", "06", ""}, // what is left of one
		{"00000000:1F40", "0A", "0.0.0.0"},
		{"00000000000000000000000000000000:1F40", "0A", "::"},
		{"027FA8C0:1F40", "0A", "192.168.127.2"},
		{"000080FE00000000FF005450010000FE:1F40", "0A", "fe80::5054:ff:fe00:1"},
		{"0000000000000000FFFF0000027FA8C0:1F40", "0A", "192.168.127.2"},
		{"0100007F", "0A", ""},
		{"0100007F:11F40", "0A", ""},
		{"007F:1F40", "0A", ""},
		{"0100007F01:1F40", "0A", ""},
		{":1F40", "0A", ""},
		{"localhost:8000", "0A", ""},
	} {
		table := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n" +
			fmt.Sprintf("   0: %s 00000000:0000 %s 00000000:00000000 00:00000000 00000000     0\n", row.at, row.state)
		servers, err := listenersIn(strings.NewReader(table), port)
		if err != nil {
			t.Fatal(err)
		}
		var want []netip.Addr
		if row.want != "" {
			want = []netip.Addr{netip.MustParseAddr(row.want)}
		}
		if !slices.Equal(servers, want) {
			t.Errorf("%s in state %s: %v, want %v", row.at, row.state, servers, want)
		}
	}
}

func TestALineThatIsNoneIsPassedOver(t *testing.T) {
	for _, line := range []string{"", "\n", "0:", "0: 0100007F:1F40", strings.Repeat("x ", 1000)} {
		servers, err := listenersIn(strings.NewReader(line), 8000)
		if err != nil || servers != nil {
			t.Errorf("%.20q: %v, %v", line, servers, err)
		}
	}
}

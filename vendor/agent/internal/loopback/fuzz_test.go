package loopback

import (
	"net/netip"
	"strings"
	"testing"
)

// Programs of the guest decide what stands in the kernel's tables. Whatever it is, a server is found only at an
// address that somebody can be asked at, and what stands before and behind a line is none of it.
func FuzzListeners(f *testing.F) {
	f.Add("   0: 0100007F:1F40 00000000:0000 0A 0:0", uint16(8000))
	f.Add("   1: 0000000000000000FFFF00000100007F:0016 0:0 0A\n", uint16(22))
	f.Add("x 0100007F:+16 y 0A", uint16(22))
	f.Add("0: 00x00000:0016 0:0 0A\r\n\x00", uint16(0))
	f.Fuzz(func(t *testing.T, text string, port uint16) {
		found, err := listenersIn(strings.NewReader(text), port)
		if err != nil {
			return
		}
		for _, addr := range found {
			if !addr.IsValid() || addr.Is4In6() || addr.Zone() != "" {
				t.Fatalf("%q has %v", text, addr)
			}
		}
		if lines := strings.Count(text, "\n") + 1; len(found) > lines {
			t.Fatalf("%d servers in %d lines", len(found), lines)
		}
		const other = "   0: 3500007F:0035 00000000:0000 0A\n"
		more, err := listenersIn(strings.NewReader(other+text+"\n"+other), port)
		if err != nil {
			return
		}
		own := 0
		for _, addr := range more {
			if port == 53 && addr == netip.AddrFrom4([4]byte{127, 0, 0, 53}) {
				own++
			}
		}
		if extra := len(more) - len(found); port == 53 && own < 2 || port == 53 && extra != 2 || port != 53 && extra != 0 {
			t.Fatalf("%q alone has %v, and between others %v", text, found, more)
		}
	})
}

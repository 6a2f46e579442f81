package main

import (
	"encoding/binary"
	"net/netip"
	"sync"
)

// farewells knows the packets by which a connection of before the last reset ends: acknowledgements, FIN and
// RST, without a byte. They come when they come, and belong to what was counted then.
type farewells struct {
	mu sync.Mutex
	// Connections whose SYN was seen, before the last reset and since.
	before, since map[connection]bool
}

type connection struct{ from, to netip.AddrPort }

const syn = 0x02

func (f *farewells) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before == nil {
		f.before = map[connection]bool{}
	}
	for c := range f.since {
		f.before[c] = true
	}
	f.since = map[connection]bool{}
}

// isOne looks at each packet that arrives, in its order.
func (f *farewells) isOne(kind uint16, p []byte) bool {
	c, flags, bytes, ok := segment(kind, p)
	if !ok {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if flags&syn != 0 {
		f.since[c] = true
		return false
	}
	return bytes == 0 && f.before[c] && !f.since[c]
}

// segment reads the headers of TCP; bytes is how much it carries. Not ok for anything else.
func segment(kind uint16, p []byte) (c connection, flags byte, bytes int, ok bool) {
	var from, to netip.Addr
	var header, total int
	switch {
	case kind == ethIPv4 && len(p) >= 20 && p[9] == 6:
		if binary.BigEndian.Uint16(p[6:])&0x1fff != 0 {
			return
		}
		from, to = netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20]))
		header, total = int(p[0]&15)*4, int(binary.BigEndian.Uint16(p[2:]))
	case kind == ethIPv6 && len(p) >= 40 && p[6] == 6:
		from, to = netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40]))
		header, total = 40, 40+int(binary.BigEndian.Uint16(p[4:]))
	default:
		return
	}
	if len(p) < header+20 {
		return
	}
	tcp := p[header:]
	c.from = netip.AddrPortFrom(from, binary.BigEndian.Uint16(tcp))
	c.to = netip.AddrPortFrom(to, binary.BigEndian.Uint16(tcp[2:]))
	return c, tcp[13], total - header - int(tcp[12]>>4)*4, true
}

package loopback

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// tables list the sockets of the guest, one a line behind a line of titles (proc_pid_net(5)).
var tables = []string{"/proc/net/tcp", "/proc/net/tcp6"}

// listening is the state TCP_LISTEN.
const listening = "0A"

// serversOf finds the loopback addresses at which somebody listens on a port, 127.0.0.1 and then ::1 first:
// a client that names the machine "localhost" means those.
func serversOf(port uint16) ([]netip.Addr, error) {
	found, err := listeners(port)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(addr netip.Addr) bool { return !addr.IsLoopback() })
	slices.SortFunc(found, loopbackFirst)
	return slices.Compact(found), nil
}

// listeners finds the addresses at which somebody listens on a port.
func listeners(port uint16) ([]netip.Addr, error) {
	var found []netip.Addr
	for _, path := range tables {
		table, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // a kernel without the family
		}
		if err != nil {
			return nil, err
		}
		at, err := listenersIn(table, port)
		table.Close()
		if err != nil {
			return nil, err
		}
		found = append(found, at...)
	}
	return found, nil
}

func loopbackFirst(a, b netip.Addr) int {
	return cmp.Or(rank(a)-rank(b), a.Compare(b))
}

func rank(addr netip.Addr) int {
	switch addr {
	case netip.AddrFrom4([4]byte{127, 0, 0, 1}):
		return 0
	case netip.IPv6Loopback():
		return 1
	}
	return 2
}

func listenersIn(table io.Reader, port uint16) ([]netip.Addr, error) {
	var found []netip.Addr
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		// "0: 0100007F:1F40 00000000:0000 0A …": slot, local address, peer, state.
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != listening {
			continue
		}
		at, ok := parseAddrPort(fields[1])
		if ok && at.Port() == port {
			found = append(found, at.Addr())
		}
	}
	return found, lines.Err()
}

// parseAddrPort reads how the kernel writes an address: words of 32 bits in its own byte order, in
// hexadecimal, and the port. One of IPv4 in IPv6 is the one of IPv4.
func parseAddrPort(text string) (netip.AddrPort, bool) {
	words, digits, _ := strings.Cut(text, ":")
	port, err := strconv.ParseUint(digits, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	raw, err := hex.DecodeString(words)
	if err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := raw; len(word) > 0; word = word[4:] {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), ok
}

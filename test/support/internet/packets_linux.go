package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"unsafe"
)

const (
	ethAll  = 0x0003
	ethIPv4 = 0x0800
	ethIPv6 = 0x86dd
)

// capture tallies every IP packet that arrives on an interface, whether anything listens for it or not:
// the only way to show that a port nobody thought of stayed silent.
func capture(name string, b *book) error {
	nic, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM, int(swap(ethAll)))
	if err != nil {
		return err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: swap(ethAll), Ifindex: nic.Index}); err != nil {
		return err
	}
	// A burst of small packets must not overflow the socket: what is lost here was not counted.
	syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, 64<<20)
	var reading sync.Mutex
	p := make([]byte, 128) // Enough for the headers; the rest is cut off.
	tally := func() error {
		reading.Lock()
		defer reading.Unlock()
		for {
			n, from, err := syscall.Recvfrom(fd, p, syscall.MSG_DONTWAIT)
			if err != nil {
				return err
			}
			link, ok := from.(*syscall.SockaddrLinklayer)
			if !ok || link.Pkttype == syscall.PACKET_OUTGOING {
				continue
			}
			key, ok := label(swap(link.Protocol), p[:n])
			if ok && !b.farewells.isOne(swap(link.Protocol), p[:n]) {
				b.note(func(r *report) { r.Packets[key]++ })
			}
		}
	}
	// On a loaded machine what has arrived may wait here for long; a report is of all that has.
	b.catchUp = func() { tally() }
	go func() {
		peek := make([]byte, 1)
		for {
			if _, _, err := syscall.Recvfrom(fd, peek, syscall.MSG_PEEK); err != nil && err != syscall.EINTR {
				return
			}
			if err := tally(); err != syscall.EAGAIN && err != syscall.EINTR {
				return
			}
		}
	}()
	return nil
}

// multicastReports is where MLDv2 reports go (RFC 3810).
var multicastReports = netip.MustParseAddr("ff02::16")

func swap(x uint16) uint16 { return x<<8 | x>>8 }

// label names a packet by protocol and destination: "tcp 10.9.9.9:80", "icmp 10.9.9.9", "proto47 …".
func label(kind uint16, p []byte) (string, bool) {
	var to netip.Addr
	var protocol byte
	var payload []byte
	switch {
	case kind == ethIPv4 && len(p) >= 20:
		to, protocol, payload = netip.AddrFrom4([4]byte(p[16:20])), p[9], p[min(len(p), int(p[0]&15)*4):]
		if binary.BigEndian.Uint16(p[6:])&0x1fff != 0 {
			return "fragment " + to.String(), true
		}
	case kind == ethIPv6 && len(p) >= 40:
		to, protocol, payload = netip.AddrFrom16([16]byte(p[24:40])), p[6], p[40:]
		if to == multicastReports {
			return "", false // The host's own kernel says which groups it listens to.
		}
	default:
		return "", false
	}
	name := map[byte]string{1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}[protocol]
	switch {
	case name == "":
		return fmt.Sprintf("proto%d %s", protocol, to), true
	case protocol == 58 && len(payload) > 0 && payload[0] >= 133 && payload[0] <= 137:
		return "", false // Neighbour discovery is the wire's own talk.
	case (protocol == 6 || protocol == 17) && len(payload) >= 4:
		return name + " " + netip.AddrPortFrom(to, binary.BigEndian.Uint16(payload[2:])).String(), true
	}
	return name + " " + to.String(), true
}

// wantDestination asks the kernel to say which of our addresses a datagram was sent to.
func wantDestination(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_PKTINFO, 1)
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO, 1)
		syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 8<<20)
	})
}

// destination reads that answer, and makes the control message that sends the reply from there.
func destination(control []byte, port int) (string, []byte) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return "?", nil
	}
	for _, m := range messages {
		var to netip.Addr
		switch {
		case m.Header.Level == syscall.IPPROTO_IPV6 && m.Header.Type == syscall.IPV6_PKTINFO && len(m.Data) >= 20:
			to = netip.AddrFrom16([16]byte(m.Data[:16]))
			clear(m.Data[16:20]) // Whatever interface routing chooses.
		case m.Header.Level == syscall.IPPROTO_IP && m.Header.Type == syscall.IP_PKTINFO && len(m.Data) >= 12:
			to = netip.AddrFrom4([4]byte(m.Data[8:12]))
			copy(m.Data[4:8], m.Data[8:12])
			clear(m.Data[0:4])
		default:
			continue
		}
		reply := make([]byte, syscall.CmsgSpace(len(m.Data)))
		h := (*syscall.Cmsghdr)(unsafe.Pointer(&reply[0]))
		h.Level, h.Type = m.Header.Level, m.Header.Type
		h.SetLen(syscall.CmsgLen(len(m.Data)))
		copy(reply[syscall.CmsgLen(0):], m.Data)
		return netip.AddrPortFrom(to.Unmap(), uint16(port)).String(), reply
	}
	return "?", nil
}

package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// synFlood writes SYNs straight onto the wire, as a guest with its own kernel could: each from another port
// or destination port, none ever answered.
func synFlood(o options) (any, error) {
	to, err := netip.ParseAddrPort(o.to)
	if err != nil {
		return nil, err
	}
	nic, err := net.InterfaceByName(o.device)
	if err != nil {
		return nil, err
	}
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0)
	if err != nil {
		return nil, err
	}
	link := &syscall.SockaddrLinklayer{Ifindex: nic.Index, Halen: 6}
	frame := synFrame(nic.HardwareAddr, to)
	start := time.Now()
	for i := range o.count {
		binary.BigEndian.PutUint16(frame[34:], uint16(1024+i%60000))
		binary.BigEndian.PutUint16(frame[36:], to.Port()+uint16(i/60000))
		binary.BigEndian.PutUint16(frame[50:], 0)
		binary.BigEndian.PutUint16(frame[50:], tcpSum(frame))
		// A full queue is the wire's way to say "slower".
		for syscall.Sendto(fd, frame, 0, link) == syscall.ENOBUFS {
			time.Sleep(100 * time.Microsecond)
		}
	}
	return sent(o.count, start), nil
}

func sent(n int, start time.Time) map[string]float64 {
	return map[string]float64{"sent": float64(n), "perSecond": float64(n) / time.Since(start).Seconds()}
}

// synFrame is ethernet, IPv4 and TCP headers from the guest to its gateway, checksums left out but the IP's.
func synFrame(own net.HardwareAddr, to netip.AddrPort) []byte {
	f := make([]byte, 54)
	copy(f, []byte{0x02, 0x73, 0x62, 0x78, 0, 1})
	copy(f[6:], own)
	binary.BigEndian.PutUint16(f[12:], 0x0800)
	ip := f[14:34]
	ip[0], ip[8], ip[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(ip[2:], 40)
	copy(ip[12:], []byte{192, 168, 127, 2})
	copy(ip[16:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(ip[10:], ^fold(0, ip))
	f[46], f[47] = 5<<4, 2
	binary.BigEndian.PutUint16(f[48:], 64000)
	return f
}

func tcpSum(f []byte) uint16 {
	pseudo := []byte{0, 6, 0, 20}
	return ^fold(uint32(fold(uint32(fold(0, f[26:34])), pseudo)), f[34:54])
}

func fold(sum uint32, b []byte) uint16 {
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// spray sends one datagram each to count addresses and ports of a block: as many flows as datagrams.
func spray(o options) (any, error) {
	block, err := netip.ParsePrefix(o.block)
	if err != nil {
		return nil, err
	}
	c, err := net.ListenPacket("udp", ":0")
	if err != nil {
		return nil, err
	}
	start, at, payload := time.Now(), block.Addr(), make([]byte, o.size)
	for i := range o.count {
		if at = at.Next(); !block.Contains(at) {
			at = block.Addr().Next()
		}
		to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, uint16(1024+i%60000)))
		if _, err := c.WriteTo(payload, to); err != nil && i == 0 {
			return nil, fmt.Errorf("the first datagram: %w", err)
		}
	}
	return sent(o.count, start), nil
}

// Package netlink sets up one network interface by rtnetlink(7).
package netlink

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Link is an interface of the machine.
type Link struct {
	fd       int
	index    uint32
	sequence uint32
}

// Open finds an interface by its name.
func Open(name string) (*Link, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("network interface %s: %w", name, err)
	}
	return &Link{fd: fd, index: request.Uint32()}, nil
}

// Close frees the socket; the interface stays as it is.
func (l *Link) Close() error { return unix.Close(l.fd) }

// Up brings the interface up. An MTU of zero leaves the MTU.
func (l *Link) Up(mtu uint32) error {
	return l.do("bring the interface up", upMessage(l.index, mtu))
}

// AddAddress gives the interface an address and the network around it.
func (l *Link) AddAddress(prefix netip.Prefix) error {
	return l.do("add address "+prefix.String(), addressMessage(l.index, prefix))
}

// AddDefaultRoute sends everything else to gateway.
func (l *Link) AddDefaultRoute(gateway netip.Addr) error {
	return l.do("add route by "+gateway.String(), defaultRouteMessage(l.index, gateway))
}

// do sends one request and waits for the kernel's word on it.
func (l *Link) do(what string, m message) error {
	l.sequence++
	if err := unix.Sendto(l.fd, m.encode(l.sequence), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	reply := make([]byte, 4096)
	n, _, err := unix.Recvfrom(l.fd, reply, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := acknowledged(reply[:n]); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func acknowledged(reply []byte) error {
	if len(reply) < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(reply[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("unexpected answer of the kernel")
	}
	if code := int32(binary.NativeEndian.Uint32(reply[unix.SizeofNlMsghdr:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

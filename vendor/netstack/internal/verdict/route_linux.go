package verdict

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// routes asks the kernel what a destination is to it. No list of interface addresses can say: an address
// may be on an interface that is down, lie in a block that `ip route add local` made local, be a
// network's broadcast or anycast address, or have been added a moment ago.
type routes struct {
	mu  sync.Mutex
	fd  int
	seq uint32
	buf [8192]byte
}

// A reply is there when the request has been written; the limit only guards against a hang.
const routeTimeout = time.Second

const (
	routeHeader  = unix.SizeofNlMsghdr + unix.SizeofRtMsg
	routeMessage = unix.SizeofNlMsghdr + unix.SizeofNlMsgerr
)

func openRoutes() (*routes, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("the kernel cannot be asked for routes: %w", err)
	}
	limit := unix.NsecToTimeval(routeTimeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &routes{fd: fd}, nil
}

// isOwn tells whether the kernel would deliver to this machine what is sent there: to it alone, or to it
// among others. An error is the kernel's, for a destination that it would not send to, or errRoute.
func (r *routes) isOwn(proto string, to netip.AddrPort) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	if _, err := unix.Write(r.fd, routeRequest(r.seq, proto, to)); err != nil {
		return false, errors.Join(errRoute, err)
	}
	for {
		n, err := unix.Read(r.fd, r.buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return false, errors.Join(errRoute, err)
		}
		kind, seq, ok := routeReply(r.buf[:n])
		if ok && seq != r.seq {
			continue // of a question that was given up
		}
		if !ok {
			return false, errRoute
		}
		return kind.own()
	}
}

// routeRequest is RTM_GETROUTE as connect(2) would look the route up: rules may go by protocol and port.
func routeRequest(seq uint32, proto string, to netip.AddrPort) []byte {
	ne := binary.NativeEndian
	addr := to.Addr().AsSlice()
	family, number := byte(unix.AF_INET), byte(unix.IPPROTO_ICMP)
	if to.Addr().Is6() {
		family, number = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	message := make([]byte, routeHeader, 96)
	ne.PutUint16(message[4:], unix.RTM_GETROUTE)
	ne.PutUint16(message[6:], unix.NLM_F_REQUEST)
	ne.PutUint32(message[8:], seq)
	message[unix.SizeofNlMsghdr] = family
	message[unix.SizeofNlMsghdr+1] = byte(len(addr) * 8)
	message = appendAttribute(message, unix.RTA_DST, addr)
	switch proto {
	case "tcp":
		number = unix.IPPROTO_TCP
	case "udp":
		number = unix.IPPROTO_UDP
	}
	message = appendAttribute(message, unix.RTA_IP_PROTO, []byte{number})
	if to.Port() != 0 {
		message = appendAttribute(message, unix.RTA_DPORT, binary.BigEndian.AppendUint16(nil, to.Port()))
	}
	ne.PutUint32(message, uint32(len(message)))
	return message
}

func appendAttribute(message []byte, kind uint16, value []byte) []byte {
	message = binary.NativeEndian.AppendUint16(message, uint16(unix.SizeofRtAttr+len(value)))
	message = binary.NativeEndian.AppendUint16(message, kind)
	message = append(message, value...)
	for len(message)%unix.RTA_ALIGNTO != 0 {
		message = append(message, 0)
	}
	return message
}

// routeKind is the type of a route, or the error of a destination without one.
type routeKind struct {
	kind  byte
	errno unix.Errno
}

func (k routeKind) own() (bool, error) {
	switch {
	case k.errno != 0:
		return false, k.errno
	case k.kind == unix.RTN_UNICAST:
		return false, nil
	}
	// Local, broadcast, anycast, multicast, and whatever kernels may think of yet.
	return true, nil
}

func routeReply(reply []byte) (kind routeKind, seq uint32, ok bool) {
	if len(reply) < unix.SizeofNlMsghdr {
		return kind, 0, false
	}
	ne := binary.NativeEndian
	seq = ne.Uint32(reply[8:])
	switch what := ne.Uint16(reply[4:]); {
	case what == unix.RTM_NEWROUTE && len(reply) >= routeHeader:
		return routeKind{kind: reply[unix.SizeofNlMsghdr+7]}, seq, true
	case what == unix.NLMSG_ERROR && len(reply) >= routeMessage:
		errno := unix.Errno(-int32(ne.Uint32(reply[unix.SizeofNlMsghdr:])))
		return routeKind{errno: errno}, seq, errno != 0
	}
	return kind, seq, false
}

// WatchRoutes calls `changed` after the kernel's addresses or its routes to itself have changed; what
// changes in quick succession is told once. `fail` does not return.
func WatchRoutes(changed func(), fail func(why string)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	groups := uint32(unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE |
		unix.RTMGRP_IPV6_ROUTE)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return err
	}
	wake := make(chan struct{}, 1)
	go func() {
		for range wake {
			changed()
			time.Sleep(routePause)
		}
	}()
	go func() {
		defer unix.Close(fd)
		buf := make([]byte, 64<<10)
		for {
			n, err := unix.Read(fd, buf)
			if err == unix.EINTR {
				continue
			}
			// ENOBUFS says that changes were missed, which is a change.
			if err != nil && err != unix.ENOBUFS {
				fail("the kernel tells no more of its routes: " + err.Error())
			}
			if err == nil && !concernsOwn(buf[:n]) {
				continue
			}
			select {
			case wake <- struct{}{}:
			default:
			}
		}
	}()
	return nil
}

// concernsOwn tells whether any of the messages is about an address, or a route of other than the usual
// type: a router that learns a hundred thousand routes is none of a guest's business.
func concernsOwn(messages []byte) bool {
	for len(messages) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(messages))
		if size < unix.SizeofNlMsghdr || size > len(messages) {
			return true
		}
		switch binary.NativeEndian.Uint16(messages[4:]) {
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			if size < routeHeader || messages[unix.SizeofNlMsghdr+7] != unix.RTN_UNICAST {
				return true
			}
		default:
			return true
		}
		messages = messages[min(len(messages), (size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]
	}
	return false
}

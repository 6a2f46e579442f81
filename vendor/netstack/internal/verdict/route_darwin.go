package verdict

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/net/route"
	"golang.org/x/sys/unix"
)

// routes asks the kernel what a destination is to it: for its interfaces, down ones included, since it has no
// route to a broadcast address before somebody has sent there; and for its route, since blocks can lead to its
// loopback interface that are nobody's addresses.
type routes struct{ seq atomic.Int32 }

// A reply is there when the request has been written; the limit only guards against a hang.
const routeTimeout = time.Second

// Flags of a route to this machine, alone or among others, and of one to nowhere, in <net/route.h>.
const (
	ownRoute     = unix.RTF_LOCAL | unix.RTF_BROADCAST | unix.RTF_MULTICAST
	refusedRoute = unix.RTF_REJECT | unix.RTF_BLACKHOLE
)

func openRoutes() (*routes, error) {
	fd, err := routingSocket()
	if err != nil {
		return nil, fmt.Errorf("the kernel cannot be asked for routes: %w", err)
	}
	return &routes{}, unix.Close(fd)
}

// routingSocket hears of all changes while it is open, so each question has one of its own.
func routingSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_ROUTE, unix.SOCK_RAW, unix.AF_UNSPEC)
	if err != nil {
		return -1, err
	}
	unix.CloseOnExec(fd)
	return fd, nil
}

// isOwn tells whether the kernel would deliver to this machine what is sent there: to it alone, or to it
// among others. An error is the kernel's, for a destination that it would not send to, or errRoute.
func (r *routes) isOwn(_ string, to netip.AddrPort) (bool, error) {
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return false, errors.Join(errRoute, err)
	}
	if isOf(interfaces, to.Addr()) {
		return true, nil
	}
	found, err := r.routeTo(to.Addr())
	if err != nil {
		return false, err
	}
	if found.Flags&ownRoute != 0 {
		return true, nil
	}
	if found.Flags&refusedRoute != 0 {
		return false, unix.EHOSTUNREACH
	}
	device, err := net.InterfaceByIndex(interfaceOf(found))
	if err != nil { // also one that has gone meanwhile
		return false, errors.Join(errRoute, err)
	}
	return device.Flags&net.FlagLoopback != 0, nil
}

// interfaceOf is the number of the interface that an answer names; 0: it names none.
func interfaceOf(found *route.RouteMessage) int {
	for _, at := range []int{unix.RTAX_IFP, unix.RTAX_GATEWAY} {
		if len(found.Addrs) <= at {
			continue
		}
		if link, ok := found.Addrs[at].(*route.LinkAddr); ok && link.Index != 0 && found.Index == 0 {
			return link.Index
		}
	}
	return found.Index
}

func (r *routes) routeTo(addr netip.Addr) (*route.RouteMessage, error) {
	fd, err := routingSocket()
	if err != nil {
		return nil, errors.Join(errRoute, err)
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(routeTimeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return nil, errors.Join(errRoute, err)
	}
	question := routeQuestion(addr, int(r.seq.Add(1)))
	bytes, err := question.Marshal()
	if err != nil {
		return nil, errors.Join(errRoute, err)
	}
	switch _, err := unix.Write(fd, bytes); {
	case err == unix.ESRCH:
		return nil, unix.ENETUNREACH
	case err != nil:
		return nil, errors.Join(errRoute, err)
	}
	until := time.Now().Add(routeTimeout)
	for buf := make([]byte, 4096); time.Now().Before(until); {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, errors.Join(errRoute, err)
		}
		if found := routeAnswer(buf[:n], question); found != nil {
			if found.Err != nil {
				return nil, found.Err
			}
			return found, nil
		}
	}
	return nil, errRoute
}

// routeQuestion is RTM_GET, with a place for the interface, without which the answer has none.
func routeQuestion(addr netip.Addr, seq int) *route.RouteMessage {
	addrs := make([]route.Addr, unix.RTAX_IFP+1)
	if addr.Is4() {
		addrs[unix.RTAX_DST] = &route.Inet4Addr{IP: addr.As4()}
	} else {
		addrs[unix.RTAX_DST] = &route.Inet6Addr{IP: addr.As16()}
	}
	addrs[unix.RTAX_IFP] = &route.LinkAddr{}
	return &route.RouteMessage{
		Version: unix.RTM_VERSION, Type: unix.RTM_GET, Flags: unix.RTF_UP,
		ID: uintptr(os.Getpid()), Seq: seq, Addrs: addrs,
	}
}

// routeAnswer is the answer to a question among what the kernel tells everybody; nil: it is not there.
func routeAnswer(bytes []byte, question *route.RouteMessage) *route.RouteMessage {
	messages, err := route.ParseRIB(route.RIBTypeRoute, bytes)
	if err != nil {
		return nil
	}
	for _, message := range messages {
		found, ok := message.(*route.RouteMessage)
		if ok && found.Type == unix.RTM_GET && found.ID == question.ID && found.Seq == question.Seq {
			return found
		}
	}
	return nil
}

// WatchRoutes calls `changed` after the kernel's addresses or its routes to itself have changed; what
// changes in quick succession is told once. `fail` does not return.
func WatchRoutes(changed func(), fail func(why string)) error {
	fd, err := routingSocket()
	if err != nil {
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
		buf := make([]byte, 4096)
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

// concernsOwn tells whether a message is about an address or an interface, or a route to this machine. Questions
// and their answers, this process's own among them, are not changes.
func concernsOwn(bytes []byte) bool {
	if len(bytes) < 4 {
		return true
	}
	switch bytes[3] { // the type, in every kind of message
	case unix.RTM_NEWADDR, unix.RTM_DELADDR, unix.RTM_IFINFO:
		return true
	case unix.RTM_ADD, unix.RTM_DELETE, unix.RTM_CHANGE:
		messages, err := route.ParseRIB(route.RIBTypeRoute, bytes)
		if err != nil || len(messages) != 1 {
			return true
		}
		found, ok := messages[0].(*route.RouteMessage)
		if !ok || found.Flags&ownRoute != 0 {
			return true
		}
		device, err := net.InterfaceByIndex(interfaceOf(found))
		return err == nil && device.Flags&net.FlagLoopback != 0
	}
	return false
}

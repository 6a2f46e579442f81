package loopback

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"sbx.dev/agent/internal/session"
)

// Codes of connections that did not come about, or broke.
const (
	refused = "refused"
	reset   = "reset"
)

// maxDials bounds at how many addresses a server is tried; programs of the guest decide how many there are.
const maxDials = 8

// Connect is the method "connect": a connection to a server of the guest, whose bytes are the call's
// streams. No network is needed, and the server sees a peer of its own machine.
func Connect(call *session.Call) (any, error) {
	var r struct {
		Port uint16 `json:"port"`
	}
	if err := json.Unmarshal(call.Request, &r); err != nil {
		return nil, err
	}
	conn, err := dialServer(r.Port)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// Whoever reads no more, or gives the call up, is a peer that is gone.
	gone := func() { abort(conn) }
	call.Output.OnStop(gone)
	call.OnEvent(func(session.Event) { gone() })
	return nil, carryCall(call, conn)
}

// dialServer tries the addresses at which somebody listens on the port, loopback first, and all of them within
// the time that one has.
func dialServer(port uint16) (*net.TCPConn, error) {
	found, err := listeners(port)
	if err != nil {
		return nil, err
	}
	failed := error(syscall.ECONNREFUSED)
	dialer := net.Dialer{Deadline: time.Now().Add(dialLimit)}
	for _, addr := range dialled(found) {
		conn, err := dialer.Dial("tcp", netip.AddrPortFrom(addr, port).String())
		if err == nil {
			return conn.(*net.TCPConn), nil
		}
		failed = err
	}
	if errors.Is(failed, syscall.ECONNREFUSED) {
		return nil, &session.Failure{Code: refused, Message: "nobody listens on the port"}
	}
	return nil, failed
}

// dialled are the addresses by which servers that listen at some are tried, in their order.
func dialled(found []netip.Addr) []netip.Addr {
	var addrs []netip.Addr
	for _, addr := range found {
		if addr.IsUnspecified() {
			// One for all of IPv6 mostly takes IPv4, too, and is there when the loopback has no ::1.
			addrs = append(addrs, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
			if addr.Is6() {
				addrs = append(addrs, netip.IPv6Loopback())
			}
			continue
		}
		addrs = append(addrs, addr)
	}
	slices.SortFunc(addrs, loopbackFirst)
	addrs = slices.Compact(addrs)
	return addrs[:min(len(addrs), maxDials)]
}

// carryCall passes each direction on until both are done.
func carryCall(call *session.Call, conn *net.TCPConn) error {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		if _, err := io.Copy(conn, call.Input); err != nil {
			call.Input.Close() // the server takes no more, and may still say something
			return
		}
		conn.CloseWrite()
	}()
	err := call.Output.CopyFrom(conn)
	if err != nil {
		abort(conn)
		call.Input.Close()
		<-sent
		return &session.Failure{Code: reset, Message: "the connection was reset"}
	}
	call.Output.Close()
	<-sent
	return nil
}

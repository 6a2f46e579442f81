package loopback

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"sbx.dev/agent/internal/session"
)

// Codes of connections that did not come about, or broke.
const (
	refused = "refused"
	reset   = "reset"
)

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

// dialServer tries the addresses at which somebody listens on the port, loopback first.
func dialServer(port uint16) (*net.TCPConn, error) {
	found, err := listeners(port)
	if err != nil {
		return nil, err
	}
	for i, addr := range found {
		if addr.IsUnspecified() {
			found[i] = loopbackOf(addr)
		}
	}
	slices.SortFunc(found, func(a, b netip.Addr) int { return rank(a) - rank(b) })
	failed := error(syscall.ECONNREFUSED)
	for _, addr := range slices.Compact(found) {
		conn, err := dial(netip.AddrPortFrom(addr, port))
		if err == nil {
			return conn, nil
		}
		failed = err
	}
	if errors.Is(failed, syscall.ECONNREFUSED) {
		return nil, &session.Failure{Code: refused, Message: "nobody listens on the port"}
	}
	return nil, failed
}

func loopbackOf(unspecified netip.Addr) netip.Addr {
	if unspecified.Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
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

// Package dial makes TCP connections of the host.
package dial

import (
	"cmp"
	"errors"
	"net"
	"syscall"
	"time"

	"sbx.dev/netstack/internal/control"
)

const dialTimeout = 15 * time.Second

// Keep-alive, on the guest's side as well: one that vanished frees its flow within two minutes.
const (
	KeepAliveIdle     = 60 * time.Second
	KeepAliveInterval = 15 * time.Second
	KeepAliveCount    = 4
)

// Half gives a socket of Go's an Abort.
type Half struct{ *net.TCPConn }

func (t Half) Abort() {
	t.SetLinger(0)
	t.Close()
}

// NoBroadcast makes the kernel refuse broadcast addresses, which Go's sockets may send to.
func NoBroadcast(_, _ string, socket syscall.RawConn) error {
	var failed error
	err := socket.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_BROADCAST, 0)
	})
	return cmp.Or(err, failed)
}

// End sorts dial errors by what the guest is to see of them.
func End(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return control.EndRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH),
		errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return control.EndUnreachable
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOBUFS):
		return control.EndLimit
	}
	return control.EndTimeout
}

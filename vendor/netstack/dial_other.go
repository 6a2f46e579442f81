//go:build !linux

package main

import (
	"context"
	"net"
	"net/netip"
)

// hostConn is a TCP socket of the host.
type hostConn = tcpHalf

// dialHost connects to an address. `gone` gives it up.
func dialHost(to netip.AddrPort, gone <-chan struct{}) (hostConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	go func() {
		select {
		case <-gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", to.String())
	if err != nil {
		return hostConn{}, err
	}
	return hostConn{conn.(*net.TCPConn)}, nil
}

// keepAlive has nothing to do: a dial of Go's sets these options itself.
func (tcpHalf) keepAlive() {}

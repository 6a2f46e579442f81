package dial

import (
	"context"
	"net"
	"net/netip"
)

// Conn is a TCP socket of the host.
type Conn = Half

// TCP connects to an address. `gone` gives it up.
func TCP(to netip.AddrPort, gone <-chan struct{}) (Conn, error) {
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
		return Conn{}, err
	}
	return Conn{conn.(*net.TCPConn)}, nil
}

// KeepAlive has nothing to do: a dial of Go's sets these options itself.
func (Half) KeepAlive() {}

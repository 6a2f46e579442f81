package loopback

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// dialLimit is for a server that listens and whose queue is full.
	dialLimit = 10 * time.Second
	// acceptPause is how long a guest without descriptors is left alone.
	acceptPause = 50 * time.Millisecond
	// chunk is what one connection reads at once, in each direction.
	chunk = 32 << 10
)

// forward carries connections from the host to the server of one port.
type forward struct {
	listener *net.TCPListener
	// peer is the only one that is let in.
	peer netip.Addr
	// to is where the server was found last.
	to atomic.Pointer[netip.AddrPort]
}

// port is the one that leads to the server.
func (f *forward) port() uint16 {
	return f.listener.Addr().(*net.TCPAddr).AddrPort().Port()
}

func (f *forward) serve() {
	for {
		conn, err := f.listener.AcceptTCP()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(acceptPause)
		default:
			go f.carry(conn)
		}
	}
}

// carry joins one connection to the server. To whoever connected, a server that is gone looks as it would
// without anybody between.
func (f *forward) carry(conn *net.TCPConn) {
	if conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap() != f.peer {
		abort(conn)
		return
	}
	server, err := dial(*f.to.Load())
	if errors.Is(err, syscall.ECONNREFUSED) {
		server, err = f.dialAgain()
	}
	if err != nil {
		abort(conn)
		return
	}
	join(conn, server)
}

func dial(to netip.AddrPort) (*net.TCPConn, error) {
	conn, err := net.DialTimeout("tcp", to.String(), dialLimit)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// dialAgain looks for the server anew: one that was started again may have another address.
func (f *forward) dialAgain() (*net.TCPConn, error) {
	port := f.to.Load().Port()
	servers, err := serversOf(port)
	if err != nil {
		return nil, err
	}
	if len(servers) == 0 {
		return nil, syscall.ECONNREFUSED
	}
	to := netip.AddrPortFrom(servers[0], port)
	f.to.Store(&to)
	return dial(to)
}

// join passes each direction on until both are done: an end as an end, a reset as a reset.
func join(a, b *net.TCPConn) {
	defer a.Close()
	defer b.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pass(a, b)
	}()
	pass(b, a)
	<-done
}

// pass carries one direction. A receiver that takes no more is left to the other direction, which first
// delivers what that receiver had said before.
func pass(to, from *net.TCPConn) {
	buffer := make([]byte, chunk)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, failed := to.Write(buffer[:n]); failed != nil {
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			to.CloseWrite()
			return
		case err != nil:
			abort(to)
			abort(from)
			return
		}
	}
}

// abort resets a connection.
func abort(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}

package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"sbx.dev/netstack/internal/nettest"
)

// sourceTCP is a server of the test that sends this many bytes and ends its direction.
func sourceTCP(t testing.TB, bytes int) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.Write(make([]byte, bytes))
				conn.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, conn)
			}()
		}
	}()
	return l.Addr()
}

func (g *Gateway) liveFlows() int {
	return len(g.flows.All())
}

// Both would take minutes if the end of a connection were not noticed: whoever ends first.
func TestAFlowEndsWithItsConnection(t *testing.T) {
	r := newRig(t, 65520, allowTo(sourceTCP(t, 100_000)))
	before := r.g.streams.Load()
	for name, converse := range map[string]func(net.Conn, func() error){
		"the server ends first": func(conn net.Conn, closeWrite func() error) {
			io.Copy(io.Discard, conn)
			closeWrite()
		},
		"the guest ends first": func(conn net.Conn, closeWrite func() error) {
			closeWrite()
			io.Copy(io.Discard, conn)
		},
	} {
		for range 50 {
			conn, err := r.dial(nettest.OpenHost + ":80")
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(nettest.Hang))
			converse(conn, conn.CloseWrite)
			conn.Close()
		}
		nettest.Settle(t, name, func() bool { return r.g.liveFlows() == 0 })
	}
	if now := r.g.streams.Load(); now != before {
		t.Errorf("%d streams are counted, %d were", now, before)
	}
}

func TestAGuestThatStopsReadingIsResetInTheEnd(t *testing.T) {
	r := newRig(t, 1500, allowTo(sourceTCP(t, 0)))
	never, gone := make(chan struct{}), make(chan struct{})
	close(gone)
	for name, linger := range map[string]func(*guestConn){
		"killed":     func(c *guestConn) { c.linger(never, gone, time.Hour) },
		"impatience": func(c *guestConn) { c.linger(never, never, time.Millisecond) },
	} {
		l, err := gonet.ListenTCP(r.guest, full(at(nettest.Guest.IP4)), protocolOf(r.l.Addrs.Guest4))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), nettest.Hang)
		conn, err := r.g.connectGuest(ctx, netip.AddrPortFrom(r.l.Addrs.Guest4, guestPort))
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := l.Accept()
		l.Close()
		if err != nil {
			t.Fatal(err)
		}
		linger(conn)
		theirs.SetDeadline(time.Now().Add(nettest.Hang))
		if n, err := theirs.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: the guest read %d, %v", name, n, err)
		}
		theirs.Close()
	}
}

func TestAThousandConnectionsLiveAtOnce(t *testing.T) {
	r := newRig(t, 65520, allowTo(nettest.EchoTCP(t)))
	var all sync.WaitGroup
	conns := make([]net.Conn, 1000)
	for i := range conns {
		all.Go(func() {
			conn, err := r.dial(nettest.OpenHost + ":7")
			if err != nil {
				t.Error(err)
				return
			}
			conns[i] = conn
		})
	}
	all.Wait()
	for i, conn := range conns {
		all.Go(func() {
			if conn == nil {
				return
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(nettest.Hang))
			say := fmt.Appendf(nil, "connection %d", i)
			conn.Write(say)
			heard := make([]byte, len(say))
			if _, err := io.ReadFull(conn, heard); err != nil || string(heard) != string(say) {
				t.Errorf("%q: %q, %v", say, heard, err)
			}
		})
	}
	all.Wait()
}

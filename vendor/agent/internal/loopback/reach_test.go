package loopback

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// Addresses of the loopback play the guest's own, the gateway's and a stranger's.
var (
	guest    = netip.MustParseAddr("127.0.0.2")
	gateway  = netip.MustParseAddr("127.0.0.3")
	stranger = netip.MustParseAddr("127.0.0.4")
)

const hang = time.Minute

func newForwards(t *testing.T) *Forwards {
	f := New(func() (netip.Addr, netip.Addr, bool) { return guest, gateway, true })
	t.Cleanup(func() {
		for port := range f.open {
			f.close(port)
		}
	})
	return f
}

// serve has each connection to `at` handled, and tells the port.
func serve(t *testing.T, at string, handle func(*net.TCPConn)) (*net.TCPListener, uint16) {
	t.Helper()
	listener, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go handle(conn.(*net.TCPConn))
		}
	}()
	return listener.(*net.TCPListener), listener.Addr().(*net.TCPAddr).AddrPort().Port()
}

func echo(conn *net.TCPConn) {
	defer conn.Close()
	io.Copy(conn, conn)
}

func reach(t *testing.T, f *Forwards, r request) Found {
	t.Helper()
	found, err := f.reach(r)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func dialFrom(t *testing.T, from netip.Addr, port uint16) (*net.TCPConn, error) {
	t.Helper()
	own := net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	conn, err := net.DialTCP("tcp", own, net.TCPAddrFromAddrPort(netip.AddrPortFrom(guest, port)))
	if err == nil {
		conn.SetDeadline(time.Now().Add(hang))
		t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

// expectReset reads until the connection ends, which it does in only one way.
func expectReset(t *testing.T, conn *net.TCPConn, err error) {
	t.Helper()
	if err == nil {
		_, err = io.ReadAll(conn)
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("not reset: %v", err)
	}
}

func TestAServerOnEitherLoopbackIsReachedFromTheGateway(t *testing.T) {
	said := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for _, at := range []string{"127.0.0.1", "127.0.0.53", "::1"} {
		_, port := serve(t, net.JoinHostPort(at, "0"), echo)
		f := newForwards(t)
		found := reach(t, f, request{Port: port, Forward: true})
		if found.At != at || found.Port == 0 || found.Port == port {
			t.Fatalf("%s: found %+v", at, found)
		}
		conn, err := dialFrom(t, gateway, found.Port)
		if err != nil {
			t.Fatal(err)
		}
		go func() { conn.Write(said); conn.CloseWrite() }()
		if heard, err := io.ReadAll(conn); err != nil || !bytes.Equal(heard, said) {
			t.Errorf("%s: heard %d bytes, %v", at, len(heard), err)
		}
		if again := reach(t, f, request{Port: port, Forward: true}); again != found {
			t.Errorf("%s: then %+v, first %+v", at, again, found)
		}
	}
}

func TestNobodyButTheGatewayIsLetIn(t *testing.T) {
	accepted := make(chan struct{}, 1)
	_, port := serve(t, "127.0.0.1:0", func(conn *net.TCPConn) { accepted <- struct{}{}; echo(conn) })
	found := reach(t, newForwards(t), request{Port: port, Forward: true})
	for _, from := range []netip.Addr{stranger, guest} {
		conn, err := dialFrom(t, from, found.Port)
		expectReset(t, conn, err)
	}
	if len(accepted) > 0 {
		t.Error("the server saw somebody")
	}
}

func TestAQuestionAloneOpensNothing(t *testing.T) {
	_, port := serve(t, "127.0.0.1:0", echo)
	f := newForwards(t)
	if found := reach(t, f, request{Port: port}); found != (Found{At: "127.0.0.1"}) || len(f.open) > 0 {
		t.Errorf("found %+v, %d open", found, len(f.open))
	}
}

func TestWhereNobodyListensNothingIsFound(t *testing.T) {
	listener, port := serve(t, "127.0.0.1:0", echo)
	f := newForwards(t)
	first := reach(t, f, request{Port: port, Forward: true})
	listener.Close()
	for _, forward := range []bool{false, true} {
		if open := len(f.open); open != 1 {
			t.Errorf("%d open", open)
		}
		if found := reach(t, f, request{Port: port, Forward: forward}); found != (Found{}) {
			t.Errorf("found %+v", found)
		}
	}
	if _, err := dialFrom(t, gateway, first.Port); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("what led there is open: %v", err)
	}
}

func TestAServerOnAllAddressesIsNobodysBusiness(t *testing.T) {
	_, port := serve(t, "0.0.0.0:0", echo)
	if found := reach(t, newForwards(t), request{Port: port, Forward: true}); found != (Found{}) {
		t.Errorf("found %+v", found)
	}
}

func TestAServerThatIsStartedAgainIsReachedByTheSamePort(t *testing.T) {
	listener, port := serve(t, "127.0.0.1:0", echo)
	f := newForwards(t)
	found := reach(t, f, request{Port: port, Forward: true})
	listener.Close()
	conn, err := dialFrom(t, gateway, found.Port)
	expectReset(t, conn, err)
	serve(t, netip.AddrPortFrom(netip.IPv6Loopback(), port).String(), echo) // in the other family
	if conn, err = dialFrom(t, gateway, found.Port); err != nil {
		t.Fatal(err)
	}
	conn.CloseWrite()
	if _, err := io.ReadAll(conn); err != nil {
		t.Error(err)
	}
}

// A server that does not set SO_REUSEADDR can have the port on all addresses while something leads there.
func TestTheServersPortIsLeftAlone(t *testing.T) {
	listener, port := serve(t, "127.0.0.1:0", echo)
	f := newForwards(t)
	reach(t, f, request{Port: port, Forward: true})
	listener.Close()
	strict := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0) })
		return err
	}}
	successor, err := strict.Listen(context.Background(), "tcp4", netip.AddrPortFrom(netip.IPv4Unspecified(), port).String())
	if err != nil {
		t.Fatal(err)
	}
	successor.Close()
}

func TestPortsToAvoidAreAvoided(t *testing.T) {
	_, port := serve(t, "127.0.0.1:0", echo)
	f := newForwards(t)
	first := reach(t, f, request{Port: port, Forward: true})
	second := reach(t, f, request{Port: port, Forward: true, Avoid: []uint16{first.Port}})
	if second.Port == 0 || second.Port == first.Port {
		t.Errorf("found %+v, then %+v", first, second)
	}
	if _, err := dialFrom(t, gateway, first.Port); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the first is open: %v", err)
	}
}

// An answer arrives although a reset is behind it, as of a server that read not all of a request. It is one
// that is under way at once: of a longer one, the server's own kernel drops the rest.
func TestWhatAServerSaidBeforeAResetArrives(t *testing.T) {
	answer := bytes.Repeat([]byte("x"), 16<<10)
	_, port := serve(t, "127.0.0.1:0", func(conn *net.TCPConn) {
		io.ReadFull(conn, make([]byte, 1))
		conn.Write(answer)
		conn.Close() // with bytes unread
	})
	found := reach(t, newForwards(t), request{Port: port, Forward: true})
	for range 20 {
		conn, err := dialFrom(t, gateway, found.Port)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		heard, err := io.ReadAll(conn)
		if len(heard) != len(answer) || (err != nil && !errors.Is(err, syscall.ECONNRESET)) {
			t.Fatalf("heard %d bytes, %v", len(heard), err)
		}
	}
}

func TestAResetIsPassedOnInBothDirections(t *testing.T) {
	ended := make(chan error, 1)
	_, port := serve(t, "127.0.0.1:0", func(conn *net.TCPConn) {
		kind := make([]byte, 1)
		io.ReadFull(conn, kind)
		if kind[0] == 'r' {
			abort(conn)
			return
		}
		conn.SetDeadline(time.Now().Add(hang))
		_, err := conn.Read(kind)
		ended <- err
	})
	found := reach(t, newForwards(t), request{Port: port, Forward: true})
	conn, err := dialFrom(t, gateway, found.Port)
	if err != nil {
		t.Fatal(err)
	}
	conn.Write([]byte("r"))
	expectReset(t, conn, nil)
	if conn, err = dialFrom(t, gateway, found.Port); err != nil {
		t.Fatal(err)
	}
	conn.Write([]byte("w"))
	abort(conn)
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server saw %v", err)
	}
}

func TestAGuestWithoutANetworkForwardsNothing(t *testing.T) {
	_, port := serve(t, "127.0.0.1:0", echo)
	f := New(NoCable)
	if found, err := f.reach(request{Port: port, Forward: true}); err == nil {
		t.Errorf("found %+v", found)
	}
}

func TestThatWhichCannotBeReadIsAnError(t *testing.T) {
	was := tables
	defer func() { tables = was }()
	tables = []string{t.TempDir()}
	if found, err := newForwards(t).reach(request{Port: 1}); err == nil {
		t.Errorf("found %+v", found)
	}
	tables = []string{"/nowhere/" + os.DevNull}
	if found, err := newForwards(t).reach(request{Port: 1}); err != nil || found != (Found{}) {
		t.Errorf("found %+v, %v", found, err)
	}
}

package dial

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/nettest"
)

func TestADialMeetsWhatIsThere(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		to := netip.MustParseAddrPort(l.Addr().String())
		conn, err := TCP(to, nil)
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		peer, _ := l.Accept()
		io.WriteString(conn, "hello")
		conn.CloseWrite()
		if heard, err := io.ReadAll(peer); string(heard) != "hello" || err != nil {
			t.Fatalf("%s heard %q, %v", at, heard, err)
		}
		io.WriteString(peer, "and back")
		heard := make([]byte, 8)
		if _, err := io.ReadFull(conn, heard); err != nil {
			t.Fatalf("%s: nothing after the half-close: %v", at, err)
		}
		conn.Close()
		if conn, err = TCP(to, nil); err != nil {
			t.Fatal(err)
		}
		peer, _ = l.Accept()
		conn.Abort()
		if _, err := peer.Read(heard); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("an abort looked like %v", err)
		}
		l.Close()
		if _, err := TCP(to, nil); !errors.Is(err, syscall.ECONNREFUSED) || End(err) != control.EndRefused {
			t.Fatalf("nothing listens on %s any more, and the dial says %v", at, err)
		}
	}
}

func TestADialThatIsGivenUpEnds(t *testing.T) {
	to := netip.MustParseAddrPort(nettest.SilentTCP(t).String())
	gone, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		conn, err := TCP(to, gone)
		if err == nil {
			conn.Close()
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Fatalf("a server that never answers answered: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(gone)
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("it ended with %v", err)
	}
}

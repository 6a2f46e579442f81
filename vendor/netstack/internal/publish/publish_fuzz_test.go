package publish

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"sbx.dev/netstack/internal/control"
)

// A published port is bound where sbx said or not at all; whatever else it says, nothing listens elsewhere. Here
// nothing listens for long: what was bound is closed at once.
func FuzzPublish(f *testing.F) {
	for _, bind := range []string{"127.0.0.1", "::1", "0.0.0.0", "127.0.0.1%lo", "::ffff:127.0.0.1", ""} {
		f.Add(bind, "tcp", 1)
	}
	f.Fuzz(func(t *testing.T, bind, proto string, ref int) {
		address, err := netip.ParseAddr(bind)
		if err == nil && !address.Unmap().WithZone("").IsLoopback() {
			t.Skip("it would listen on the network")
		}
		if proto == "udp" {
			t.Skip("its ports need a whole gateway; publish_test.go has one")
		}
		conn := &messageLog{}
		p := New(control.New(conn), nil)
		p.Publish(Publication{Ref: ref, Bind: bind, Proto: proto, GuestPort: 80})
		listener := p.open[ref]
		if (listener != nil) != (err == nil) && listener != nil {
			t.Fatalf("%q is no address, and something listens", bind)
		}
		p.Unpublish(ref)
		p.Unpublish(ref)
		if len(p.open) != 0 {
			t.Fatalf("%d listeners are left", len(p.open))
		}
	})
}

// messageLog is sbx's end of a control channel that nobody reads.
type messageLog struct{ net.Conn }

func (messageLog) Write(p []byte) (int, error) { return len(p), nil }

func (messageLog) Close() error { return nil }

func (messageLog) SetWriteDeadline(time.Time) error { return nil }

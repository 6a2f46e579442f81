package gateway

import (
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/flight"
	"sbx.dev/netstack/internal/flow"
)

const (
	// flightDeadline bounds a first flight that started but does not end.
	flightDeadline = 10 * time.Second
	forever        = 365 * 24 * time.Hour
)

// errHanded ends the splice of a guest that sbx serves from here on.
var errHanded = errors.New("the guest is handed over to sbx")

var errDenied = errors.New("the guest's first bytes were denied")

// inspectTCP reads what the guest says first and asks again. The guest has been accepted; nobody has
// been dialled.
//
// A guest that says nothing may wait for the server's greeting, or wait until nobody listens any
// more for the name it states. To the question about such a silence sbx answers `inspect` when it
// would allow the flow without a name: then the server is dialled and may speak, and what the guest
// says first, whenever that is, still waits for a verdict of its own.
func (g *Gateway) inspectTCP(f *flow.Flow, guest *guestConn, verdict control.Message) {
	first, seen, end := readFirst(guest, time.Duration(verdict.WaitMs)*time.Millisecond)
	if end == "gone" {
		guest.Abort()
		g.finish(f, control.EndResetByGuest)
		return
	}
	f.Become(flow.First)
	verdict = g.askFirst(f, first, end)
	silent := len(first) == 0 && end == "timeout"
	switch {
	case verdict.Action == control.Allow, verdict.Action == control.Inspect && silent:
		if verdict.Action == control.Inspect {
			guest.judge = func() ([]byte, error) { return g.lateFirst(f, guest) }
		}
		f.Become(flow.Event(verdict.Action))
		upstream, failed := g.dialTCP(f, verdict)
		if failed != "" {
			guest.Abort()
			g.finish(f, failed)
			return
		}
		g.opened(f, f.Dialled.String())
		upstream.KeepAlive()
		if len(first) > 0 {
			first = g.admit(f, guest, first, seen)
		}
		if _, err := upstream.Write(first); err != nil {
			upstream.Close()
			guest.Abort()
			g.finish(f, control.EndResetByUpstream)
			return
		}
		f.Up.Add(int64(len(first)))
		g.splice(f, guest, upstream)
	case verdict.Action == control.Redirect:
		if err := g.guard.MayServe(verdict, f.Info); err != nil {
			guest.Abort()
			g.finish(f, guardEnd(err))
			return
		}
		f.Become(control.Redirect)
		g.redirectTCP(f, guest, first)
	default:
		guest.Abort()
		g.finish(f, control.EndDenied)
	}
}

// askFirst puts the second question. Any failure denies.
func (g *Gateway) askFirst(f *flow.Flow, first []byte, end string) control.Message {
	question := control.First{T: "first", ID: f.ID, Data: first, End: end}
	verdict, err := g.control.Ask(f.ID, question, f.Gone)
	if err != nil || verdict.Epoch != g.control.Epoch.Load() {
		return control.Message{Action: control.Deny}
	}
	return verdict
}

// lateFirst waits for the first bytes of a guest whose server was dialled already, and judges them.
func (g *Gateway) lateFirst(f *flow.Flow, guest *guestConn) ([]byte, error) {
	first, seen, end := readFirst(guest, forever)
	if end == "gone" {
		return nil, errRead
	}
	if len(first) == 0 {
		return first, nil
	}
	f.Become(flow.First)
	switch verdict := g.askFirst(f, first, end); verdict.Action {
	case control.Allow:
		f.Become(control.Allow)
		return g.admit(f, guest, first, seen), nil
	case control.Redirect:
		if err := g.guard.MayServe(verdict, f.Info); err != nil {
			f.Abort(guardEnd(err))
			return nil, errDenied
		}
		// Only from a server that has said nothing yet can the guest be led to sbx. It is marked first and looked
		// at then, as the server's side does it the other way round: what came in between reaches nobody.
		guest.handed.Store(&first)
		if !guest.greeted.Load() {
			f.Become(control.Redirect)
			return nil, errHanded
		}
		guest.handed.Store(nil)
	}
	f.Abort(control.EndDenied)
	return nil, errDenied
}

// admit lets an allowed first flight through: what of it may go out at once comes back. What the guest
// says next is still looked at where it could change what was judged.
func (g *Gateway) admit(f *flow.Flow, guest *guestConn, first []byte, seen *flight.Reader) []byte {
	switch {
	case seen.IsHello():
		g.awaitServerHello(f, guest, first[seen.Length:])
		return first[:seen.Length]
	case seen.State == flight.Open || seen.State == flight.Partial:
		guest.watch = g.watch(f, guest, first, seen)
	}
	return first
}

// watch follows a guest that has said nothing yet that a server could act on, until the server speaks: no
// server of HTTP or TLS does before it is asked. What would make a request of it all does not go out.
func (g *Gateway) watch(f *flow.Flow, guest *guestConn, first []byte, seen *flight.Reader) func([]byte) error {
	kept := slices.Clone(first)
	return func(next []byte) error {
		if guest.greeted.Load() {
			guest.watch = nil
			return nil
		}
		kept = append(kept, next[:min(len(next), flight.MaxFirst-len(kept))]...)
		switch seen.Feed(next) {
		case flight.Open:
			return nil
		case flight.Opaque:
			guest.watch = nil
			return nil
		}
		end := "complete"
		if len(kept) >= flight.MaxFirst {
			end = "full"
		}
		g.askFirst(f, kept, end) // to say why; nothing can be relayed any more
		f.Abort(control.EndDenied)
		return errDenied
	}
}

// readFirst reads a first flight: silent for `wait`, or begun and whole, opaque, full, late or ended.
func readFirst(guest *guestConn, wait time.Duration) (first []byte, seen *flight.Reader, end string) {
	if wait <= 0 {
		wait = flightDeadline
	}
	guest.SetReadDeadline(time.Now().Add(wait))
	defer guest.SetReadDeadline(time.Time{})
	seen = &flight.Reader{}
	chunk := make([]byte, 4096)
	for {
		n, err := guest.Read(chunk)
		if n > 0 && len(first) == 0 {
			guest.SetReadDeadline(time.Now().Add(flightDeadline))
		}
		first = append(first, chunk[:n]...)
		switch {
		case seen.Feed(chunk[:n]) != flight.Partial:
			return first, seen, "complete"
		case len(first) >= flight.MaxFirst:
			return first, seen, "full"
		case isTimeout(err):
			return first, seen, "timeout"
		case errors.Is(err, io.EOF):
			return first, seen, "eof"
		case err != nil:
			return nil, seen, "gone"
		}
	}
}

// isTimeout knows the stack's deadline error, which is a net.Error but no os.ErrDeadlineExceeded.
func isTimeout(err error) bool {
	var failure net.Error
	return errors.As(err, &failure) && failure.Timeout()
}

// While a guest is being handed over, what the server does is nothing to it any more.

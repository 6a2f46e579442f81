package main

import (
	"errors"
	"io"
	"net"
	"time"
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
func (g *gateway) inspectTCP(f *flow, guest *guestConn, verdict fromSbx) {
	first, end := readFirst(guest, time.Duration(verdict.WaitMs)*time.Millisecond)
	if end == "gone" {
		guest.Abort()
		g.finish(f, endResetByGuest)
		return
	}
	verdict = g.askFirst(f, first, end)
	if verdict.Action == actionInspect && len(first) == 0 && end == "timeout" {
		guest.first = func() ([]byte, error) { return g.lateFirst(f, guest) }
		verdict.Action = actionAllow
	}
	switch verdict.Action {
	case actionAllow:
		upstream, failed := g.dialTCP(f, verdict)
		if failed != "" {
			guest.Abort()
			g.finish(f, failed)
			return
		}
		g.opened(f)
		upstream.keepAlive()
		if _, err := upstream.Write(first); err != nil {
			upstream.Close()
			guest.Abort()
			g.finish(f, endResetByUpstream)
			return
		}
		f.up.Add(int64(len(first)))
		g.splice(f, guest, upstream)
	case actionRedirect:
		g.redirectTCP(f, guest, first)
	default:
		guest.Abort()
		g.finish(f, endDenied)
	}
}

// askFirst puts the second question. Any failure denies.
func (g *gateway) askFirst(f *flow, first []byte, end string) fromSbx {
	question := firstMessage{T: "first", ID: f.id, Data: first, End: end}
	verdict, err := g.control.ask(f.id, question, f.gone)
	if err != nil || verdict.Epoch != g.control.epoch.Load() {
		return fromSbx{Action: actionDeny}
	}
	return verdict
}

// lateFirst waits for the first bytes of a guest whose server was dialled already, and judges them.
func (g *gateway) lateFirst(f *flow, guest *guestConn) ([]byte, error) {
	first, end := readFirst(guest, forever)
	if end == "gone" {
		return nil, errRead
	}
	if len(first) == 0 {
		return first, nil
	}
	switch g.askFirst(f, first, end).Action {
	case actionAllow:
		return first, nil
	case actionRedirect:
		// Only from a server that has said nothing yet can the guest be led to sbx.
		if f.down.Load() == 0 {
			guest.handed.Store(&first)
			return nil, errHanded
		}
	}
	f.abort(endDenied)
	return nil, errDenied
}

// readFirst reads a first flight: silent for `wait`, or begun and whole, opaque, full, late or ended.
func readFirst(guest *guestConn, wait time.Duration) (first []byte, end string) {
	if wait <= 0 {
		wait = flightDeadline
	}
	guest.SetReadDeadline(time.Now().Add(wait))
	defer guest.SetReadDeadline(time.Time{})
	chunk := make([]byte, 4096)
	for {
		n, err := guest.TCPConn.Read(chunk)
		if n > 0 && len(first) == 0 {
			guest.SetReadDeadline(time.Now().Add(flightDeadline))
		}
		first = append(first, chunk[:n]...)
		switch {
		case n > 0 && firstFlight(first) != flightPartial:
			return first, "complete"
		case len(first) >= maxFirst:
			return first, "full"
		case isTimeout(err):
			return first, "timeout"
		case errors.Is(err, io.EOF):
			return first, "eof"
		case err != nil:
			return nil, "gone"
		}
	}
}

// isTimeout knows the stack's deadline error, which is a net.Error but no os.ErrDeadlineExceeded.
func isTimeout(err error) bool {
	var failure net.Error
	return errors.As(err, &failure) && failure.Timeout()
}

// Read holds the first bytes back until they are judged, when the flow was allowed without them.
func (c *guestConn) Read(p []byte) (int, error) {
	if judge := c.first; judge != nil {
		c.first = nil
		replay, err := judge()
		if err != nil {
			return 0, err
		}
		c.replay = replay
	}
	if len(c.replay) > 0 {
		n := copy(p, c.replay)
		c.replay = c.replay[n:]
		return n, nil
	}
	return c.TCPConn.Read(p)
}

// While a guest is being handed over, what the server does is nothing to it any more.

func (c *guestConn) Write(p []byte) (int, error) {
	if c.handed.Load() != nil {
		return 0, errHanded
	}
	return c.TCPConn.Write(p)
}

func (c *guestConn) CloseWrite() error {
	if c.handed.Load() != nil {
		return nil
	}
	return c.TCPConn.CloseWrite()
}

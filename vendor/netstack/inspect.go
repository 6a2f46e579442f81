package main

import (
	"errors"
	"io"
	"os"
	"time"
)

// flightDeadline bounds a first flight that started but does not end.
const flightDeadline = 10 * time.Second

// inspectTCP reads what the guest says first and asks again. The guest has been accepted; nobody has
// been dialled.
func (g *gateway) inspectTCP(f *flow, guest *guestConn, verdict fromSbx) {
	first, end := readFirst(guest, time.Duration(verdict.WaitMs)*time.Millisecond)
	if end == "gone" {
		guest.Abort()
		g.finish(f, endResetByGuest)
		return
	}
	question := firstMessage{T: "first", ID: f.id, Data: first, End: end}
	verdict, err := g.control.ask(f.id, question, f.gone)
	if err != nil || verdict.Epoch != g.control.epoch.Load() {
		verdict = fromSbx{Action: actionDeny}
	}
	switch verdict.Action {
	case actionAllow:
		upstream, failed := g.dialTCP(f, verdict)
		if failed != "" {
			guest.Abort()
			g.finish(f, failed)
			return
		}
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
		g.forget(f)
	}
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
		n, err := guest.Read(chunk)
		if n > 0 && len(first) == 0 {
			guest.SetReadDeadline(time.Now().Add(flightDeadline))
		}
		first = append(first, chunk[:n]...)
		switch {
		case n > 0 && firstFlight(first) != flightPartial:
			return first, "complete"
		case len(first) >= maxFirst:
			return first, "full"
		case errors.Is(err, os.ErrDeadlineExceeded):
			return first, "timeout"
		case errors.Is(err, io.EOF):
			return first, "eof"
		case err != nil:
			return nil, "gone"
		}
	}
}

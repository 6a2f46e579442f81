package main

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	// drainIdle bounds a half-closed flow on which nothing moves any more.
	drainIdle = 5 * time.Minute
)

// halfConn is a stream whose directions end separately.
type halfConn interface {
	io.ReadWriteCloser
	CloseWrite() error
	Abort()
}

// tcpHalf gives a socket of Go's an Abort.
type tcpHalf struct{ *net.TCPConn }

func (t tcpHalf) Abort() {
	t.SetLinger(0)
	t.Close()
}

// pump copies one direction and passes its end on: an EOF as a half-close, an error as a reset.
func pump(dst halfConn, src io.Reader, count *atomic.Int64) error {
	through := newCopyBuffer()
	defer through.release()
	for {
		n, err := src.Read(*through.buf)
		if n > 0 {
			count.Add(int64(n))
			if _, werr := dst.Write((*through.buf)[:n]); werr != nil {
				return errWrite
			}
		}
		if errors.Is(err, io.EOF) {
			return dst.CloseWrite()
		}
		if err != nil {
			dst.Abort()
			return errRead
		}
		through.fit(n)
	}
}

var (
	errRead  = errors.New("the sender reset")
	errWrite = errors.New("the receiver reset")
)

// splice joins the two ends of a TCP flow until both directions are done. The caller's goroutine carries
// one of them.
func (g *gateway) splice(f *flow, guest *guestConn, other halfConn) {
	hup, hangup := waiter.NewChannelEntry(waiter.EventHUp)
	guest.queue.EventRegister(&hup)
	defer guest.queue.EventUnregister(&hup)
	f.onAbort(func() {
		guest.Abort()
		other.Abort()
	})
	drain := drainWatch{flow: f}
	var ended atomic.Int32
	carry := func(dst, src halfConn, count *atomic.Int64) (err error) {
		guarded(func() {
			err = pump(dst, src, count)
			if errors.Is(err, errWrite) {
				src.Abort()
			}
		})
		if ended.Add(1) == 1 {
			drain.begin()
		}
		return err
	}
	down := make(chan error, 1)
	go func() { down <- carry(guest, other, &f.down) }()
	upErr := carry(other, guest, &f.up)
	downErr := <-down
	drain.timer.Stop()

	if first := guest.handed.Swap(nil); first != nil {
		other.Close()
		g.redirectTCP(f, guest, *first)
		return
	}
	end := endEOF
	switch {
	case errors.Is(upErr, errRead), errors.Is(downErr, errWrite):
		end = endResetByGuest
	case upErr != nil, downErr != nil:
		end = endResetByUpstream
	}
	if end == endEOF {
		guest.linger(hangup, f.gone, drainIdle)
	}
	guest.Close()
	other.Close()
	g.finish(f, end)
}

// drainWatch ends a flow that is half closed, and on whose other half nothing moves any more.
type drainWatch struct {
	flow  *flow
	moved int64
	timer *time.Timer
}

func (w *drainWatch) begin() {
	w.moved = w.flow.moved()
	w.timer = time.AfterFunc(drainIdle, w.look)
}

func (w *drainWatch) look() {
	moved := w.flow.moved()
	if moved == w.moved {
		w.flow.abort(endIdle)
		return
	}
	w.moved = moved
	w.timer.Reset(drainIdle)
}

// linger waits until the guest has taken everything, our FIN included. One that stopped reading would make
// the stack keep what is left for ever, and nobody count it: it is reset in the end.
func (c *guestConn) linger(hangup, gone <-chan struct{}, patience time.Duration) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-hangup:
	case <-gone:
		c.Abort()
	case <-late.C:
		c.Abort()
	}
}

package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	// An idle direction holds a small buffer; one that fills it gets a large one while it does.
	smallBuffer = 16 << 10
	largeBuffer = 256 << 10
	// drainIdle bounds a half-closed flow on which nothing moves any more.
	drainIdle = 5 * time.Minute
	// finLinger lets the guest acknowledge our FIN before the endpoint goes.
	finLinger = 5 * time.Second
)

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}
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
	pool := &smallBuffers
	buf := pool.Get().(*[]byte)
	defer func() { pool.Put(buf) }()
	for {
		n, err := src.Read(*buf)
		if n > 0 {
			count.Add(int64(n))
			if _, werr := dst.Write((*buf)[:n]); werr != nil {
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
		if want := poolFor(n); want != pool {
			pool.Put(buf)
			pool = want
			buf = pool.Get().(*[]byte)
		}
	}
}

func poolFor(read int) *sync.Pool {
	if read >= smallBuffer {
		return &largeBuffers
	}
	return &smallBuffers
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
		select {
		case <-hangup:
		case <-time.After(finLinger):
		case <-f.gone:
		}
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

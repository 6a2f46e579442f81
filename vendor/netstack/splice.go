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

// tcpHalf gives a host socket an Abort.
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

// splice joins the two ends of a TCP flow until both directions are done.
func (g *gateway) splice(f *flow, guest *guestConn, upstream io.ReadWriteCloser) {
	var other halfConn
	switch conn := upstream.(type) {
	case *net.TCPConn:
		other = tcpHalf{conn}
	case halfConn:
		other = conn
	}
	hup, hangup := waiter.NewChannelEntry(waiter.EventHUp)
	guest.queue.EventRegister(&hup)
	defer guest.queue.EventUnregister(&hup)

	var upErr, downErr error
	upDone, downDone := make(chan struct{}), make(chan struct{})
	run := func(done chan struct{}, result *error, dst halfConn, src halfConn, count *atomic.Int64) {
		guarded(func() {
			*result = pump(dst, src, count)
			if errors.Is(*result, errWrite) {
				src.Abort()
			}
		})
		close(done)
	}
	go run(upDone, &upErr, other, guest, &f.up)
	go run(downDone, &downErr, guest, other, &f.down)

	g.await(f, guest, other, upDone, downDone)
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

// await returns when both directions have ended. After the first, the other may idle only so long;
// a killed flow ends at once.
func (g *gateway) await(f *flow, guest, other halfConn, up, down chan struct{}) {
	abort := func() {
		guest.Abort()
		other.Abort()
		<-up
		<-down
	}
	select {
	case <-up:
	case <-down:
	case <-f.gone:
		abort()
		return
	}
	gone := f.gone
	tick := time.NewTicker(drainIdle)
	defer tick.Stop()
	moved := f.up.Load() + f.down.Load()
	for up != nil || down != nil {
		select {
		case <-up:
			up = nil
		case <-down:
			down = nil
		case <-gone:
			guest.Abort()
			other.Abort()
			gone = nil
		case <-tick.C:
			if now := f.up.Load() + f.down.Load(); now == moved {
				f.abort(endIdle)
			} else {
				moved = now
			}
		}
	}
}

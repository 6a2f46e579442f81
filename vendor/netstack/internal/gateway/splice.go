package gateway

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/waiter"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/flow"
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

// pump copies one direction and passes its end on: an EOF as a half-close, an error as a reset. Each piece is
// shown to `look` first; what that refuses is a reset as well, and goes no further.
func pump(dst halfConn, src io.Reader, count *atomic.Int64, through *copyBuffer, look func([]byte) error) error {
	defer through.release()
	for {
		n, err := src.Read(*through.buf)
		if n > 0 {
			if look((*through.buf)[:n]) != nil {
				dst.Abort()
				return errRead
			}
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

// sendJudged sends what of the guest's first bytes is let through, until nothing more of it has to be judged.
func sendJudged(dst halfConn, guest *guestConn, count *atomic.Int64) error {
	for guest.judge != nil {
		judge := guest.judge
		guest.judge = nil // what is let through may come with another question
		first, err := judge()
		if err != nil {
			dst.Abort()
			return errRead
		}
		if len(first) == 0 {
			continue
		}
		count.Add(int64(len(first)))
		if _, err := dst.Write(first); err != nil {
			return errWrite
		}
	}
	return nil
}

var (
	errRead  = errors.New("the sender reset")
	errWrite = errors.New("the receiver reset")
)

// splice joins the two ends of a TCP flow until both directions are done. The caller's goroutine carries
// one of them.
func (g *Gateway) splice(f *flow.Flow, guest *guestConn, other halfConn) {
	hup, hangup := waiter.NewChannelEntry(waiter.EventHUp)
	guest.queue.EventRegister(&hup)
	defer guest.queue.EventUnregister(&hup)
	f.OnAbort(func() {
		guest.Abort()
		other.Abort()
	})
	drain := drainWatch{flow: f}
	var ended atomic.Int32
	carry := func(dst, src halfConn, count *atomic.Int64, look func([]byte) error) (err error) {
		g.control.Guard(func() {
			if src == guest {
				err = sendJudged(dst, guest, count)
			}
			if err == nil {
				err = pump(dst, src, count, g.buffers.take(), look)
			}
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
	go func() { down <- carry(guest, other, &f.Down, guest.fromUpstream) }()
	upErr := carry(other, guest, &f.Up, guest.toUpstream)
	downErr := <-down
	drain.timer.Stop()

	if first := guest.handed.Swap(nil); first != nil {
		other.Close()
		g.redirectTCP(f, guest, *first)
		return
	}
	end := control.EndEOF
	switch {
	case errors.Is(upErr, errRead), errors.Is(downErr, errWrite):
		end = control.EndResetByGuest
	case upErr != nil, downErr != nil:
		end = control.EndResetByUpstream
	}
	if end == control.EndEOF {
		guest.linger(hangup, f.Gone, drainIdle)
	}
	guest.Close()
	other.Close()
	g.finish(f, end)
}

// drainWatch ends a flow that is half closed, and on whose other half nothing moves any more.
type drainWatch struct {
	flow  *flow.Flow
	moved int64
	timer *time.Timer
}

func (w *drainWatch) begin() {
	w.moved = w.flow.Moved()
	w.timer = time.AfterFunc(drainIdle, w.look)
}

func (w *drainWatch) look() {
	moved := w.flow.Moved()
	if moved == w.moved {
		w.flow.Abort(control.EndIdle)
		return
	}
	w.moved = moved
	w.timer.Reset(drainIdle)
}

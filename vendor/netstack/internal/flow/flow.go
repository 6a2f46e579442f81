// Package flow counts and bounds the connections and exchanges of the guest, and knows what each of them is.
package flow

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"sbx.dev/netstack/internal/control"
)

// Flow is one connection or exchange of datagrams, from its first packet to its end.
type Flow struct {
	// ID is its number in all messages.
	ID uint64
	// Info is what sbx is asked about.
	Info control.FlowInfo
	// Start is when its first packet came.
	Start time.Time
	// Up and Down count bytes of the guest to its peer, and back.
	Up, Down atomic.Int64
	// Gone is closed when the flow is to end: the guest has given up, a limit displaces it, or sbx kills it.
	Gone chan struct{}
	// Dialled is where, once it has answered.
	Dialled netip.AddrPort
	// Implicit is set from before the dial of a judged address, which the guard watches, to where a new
	// route can lead the flow nowhere else any more.
	Implicit atomic.Bool

	kill  sync.Once
	why   atomic.Pointer[string]
	cut   atomic.Pointer[func()]
	trace Trace

	mu    sync.Mutex
	state State
}

// Become makes of the flow what the event says. False means that it is over already.
func (f *Flow) Become(event Event) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := f.state
	to, can := from.next(event)
	if !can {
		panic(fmt.Sprintf("flow %d is %s, and %s happens", f.ID, from, event))
	}
	if from == to {
		return false
	}
	f.state = to
	if f.trace != nil {
		f.trace(f.ID, from, to, event)
	}
	return true
}

// State is what the flow is now.
func (f *Flow) State() State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

// Abort ends the flow from outside; end says how in `closed`.
func (f *Flow) Abort(end string) {
	f.kill.Do(func() {
		f.why.Store(&end)
		close(f.Gone)
		if cut := f.cut.Load(); cut != nil {
			go (*cut)() // whoever aborts may hold a lock
		}
	})
}

// OnAbort says what an abort has to cut, which may have come already.
func (f *Flow) OnAbort(cut func()) {
	f.cut.Store(&cut)
	if f.Over() {
		cut()
	}
}

// EndOf is how the flow ended: as an abort said, or else as was seen.
func (f *Flow) EndOf(seen string) string {
	if why := f.why.Load(); why != nil {
		return *why
	}
	return seen
}

// Moved is how many bytes the flow has carried.
func (f *Flow) Moved() int64 { return f.Up.Load() + f.Down.Load() }

// Over tells whether the flow was ended from outside.
func (f *Flow) Over() bool {
	select {
	case <-f.Gone:
		return true
	default:
		return false
	}
}

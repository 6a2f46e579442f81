package main

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	defaultFlows   = 8192
	defaultPending = 1024
)

// flow is one connection or exchange of datagrams, from its first packet to its `closed` message.
//
//	asked ──► denied                     nothing passed
//	  │  └──► redirected ──► closed      sbx serves it through the mux
//	  │  └──► dialling ──► spliced ──► closed
//	  └────► inspecting ──► asked        the guest was accepted to learn the name it states
type flow struct {
	id    uint64
	info  flowInfo
	start time.Time
	up    atomic.Int64
	down  atomic.Int64
	once  sync.Once
	gone  chan struct{} // closed when the guest gives up, or sbx kills the flow
	kill  sync.Once
	why   atomic.Pointer[string]
	cut   atomic.Pointer[func()]
	// dialled is where, once it has answered.
	dialled netip.AddrPort
}

// abort ends the flow from outside; end says how in `closed`.
func (f *flow) abort(end string) {
	f.kill.Do(func() {
		f.why.Store(&end)
		close(f.gone)
		if cut := f.cut.Load(); cut != nil {
			go (*cut)() // whoever aborts may hold a lock
		}
	})
}

// onAbort says what an abort has to cut, which may have come already.
func (f *flow) onAbort(cut func()) {
	f.cut.Store(&cut)
	if f.over() {
		cut()
	}
}

// moved is how many bytes the flow has carried.
func (f *flow) moved() int64 { return f.up.Load() + f.down.Load() }

// over tells whether the flow was ended from outside.
func (f *flow) over() bool {
	select {
	case <-f.gone:
		return true
	default:
		return false
	}
}

// flows counts and bounds the live flows of the guest.
type flows struct {
	mu     sync.Mutex
	live   map[uint64]*flow
	max    int
	rate   int
	window time.Time
	inRate int

	limited map[string]int64
}

func newFlows() *flows {
	return &flows{live: map[uint64]*flow{}, max: defaultFlows, limited: map[string]int64{}}
}

// open registers a flow, or counts a refusal and returns nil.
func (t *flows) open(id uint64, info flowInfo) *flow {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.live) >= t.max {
		t.limited["flows"]++
		return nil
	}
	if t.rate > 0 {
		if now := time.Now(); now.Sub(t.window) >= time.Second {
			t.window, t.inRate = now, 0
		}
		if t.inRate >= t.rate {
			t.limited["rate"]++
			return nil
		}
		t.inRate++
	}
	f := &flow{id: id, info: info, start: time.Now(), gone: make(chan struct{})}
	t.live[id] = f
	return f
}

func (t *flows) drop(id uint64) {
	t.mu.Lock()
	delete(t.live, id)
	t.mu.Unlock()
}

func (t *flows) find(id uint64) *flow {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live[id]
}

func (t *flows) limit(what string) {
	t.mu.Lock()
	t.limited[what]++
	t.mu.Unlock()
}

// takeLimited returns the refusals since the last call.
func (t *flows) takeLimited() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.limited
	t.limited = map[string]int64{}
	return taken
}

func (t *flows) configure(l limits) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.Flows > 0 {
		t.max = l.Flows
	}
	t.rate = l.PerSecond
}

// gateway carries out verdicts for one guest.
type gateway struct {
	control *control
	stack   *stack.Stack
	addrs   linkAddresses
	guard   guard
	flows   *flows
	cache   verdictCache
	quiet   quietList
	held    *heldSYNs
	udp     *udpTable
	pings   *pingTable
	mux     *mux
	inbound *publisher
	workers workers
}

// overloaded counts what the guest opens faster than sbx can hear of it, and tells that it is too much.
func (g *gateway) overloaded() bool {
	if !g.control.out.full() {
		return false
	}
	g.flows.limit("pending")
	return true
}

// begin opens a flow and gets its verdict. A nil flow was refused by a limit.
func (g *gateway) begin(info flowInfo) *flow {
	f := g.flows.open(g.control.nextID.Add(1), info)
	return f
}

// decide answers from the cache or asks sbx; any failure denies. Of an sbx that has become silent, only denials
// are repeated.
func (g *gateway) decide(f *flow) fromSbx {
	key, cacheable := f.target()
	epoch := g.control.epoch.Load()
	if cacheable {
		verdict, ok := g.cache.get(key, epoch)
		if ok && (verdict.Action == actionDeny || g.control.attended()) {
			note := cachedMessage{T: "cached", ID: f.id, flowInfo: f.info, Action: verdict.Action}
			if verdict.Action == actionAllow {
				g.control.tell(note)
			} else {
				g.control.send(note) // sbx is about to serve it, or to be asked again
			}
			return verdict
		}
	}
	verdict, err := g.control.judge(f.id, f.info, f.gone)
	if err != nil {
		if err == errPending {
			g.flows.limit("pending")
		}
		f.abort(endDenied)
		g.finish(f, endDenied) // sbx may still answer, and would wait for the flow's end
		return fromSbx{Action: actionDeny}
	}
	if cacheable {
		g.cache.put(key, verdict)
	}
	return verdict
}

// target is the key under which a verdict for this flow may be cached.
func (f *flow) target() (target, bool) {
	addr, err := netip.ParseAddr(f.info.Dst)
	return target{f.info.Proto, addr, f.info.Dport}, err == nil && f.info.Dir == "outbound"
}

// finish reports the end of a flow that was allowed, once, and frees its place.
func (g *gateway) finish(f *flow, end string) {
	f.once.Do(func() {
		if why := f.why.Load(); why != nil {
			end = *why
		}
		g.flows.drop(f.id)
		g.control.tell(closedMessage{
			T: "closed", ID: f.id, Up: f.up.Load(), Down: f.down.Load(),
			Ms: time.Since(f.start).Milliseconds(), End: end,
		})
	})
}

// forget frees the place of a flow that was denied: the verdict said all there is to say.
func (g *gateway) forget(f *flow) {
	f.once.Do(func() { g.flows.drop(f.id) })
}

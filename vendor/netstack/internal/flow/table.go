package flow

import (
	"maps"
	"slices"
	"sync"
	"time"

	"sbx.dev/netstack/internal/control"
)

const (
	// DefaultFlows is how many may live at once unless sbx says otherwise.
	DefaultFlows = 8192
	// maxQuestions is for flows to the resolver, which are no connections to anywhere and do not count as
	// such: who asks much can still connect, and who has all the connections there are can still ask.
	maxQuestions = 2048
)

// LimitDescriptors is the name of the limit that the system sets to this process's open files.
const LimitDescriptors = "descriptors"

// Table counts and bounds the live flows of the guest.
type Table struct {
	mu        sync.Mutex
	live      map[uint64]*Flow
	questions int    // of those that live
	max       int    // of the others
	scarce    string // what a refusal by max is for want of
	rate      *rateLimit
	began     time.Time
	// Trace hears of the changes of all flows that begin from here on; nil for none.
	Trace Trace

	limited map[string]int64
}

// NewTable is empty, and bounds flows as if nobody had said how.
func NewTable() *Table {
	return &Table{
		live: map[uint64]*Flow{}, max: DefaultFlows, scarce: "flows",
		rate: newRateLimit(0), began: time.Now(), limited: map[string]int64{},
	}
}

// Open registers a flow, or counts a refusal and returns nil.
func (t *Table) Open(id uint64, info control.FlowInfo) *Flow {
	t.mu.Lock()
	defer t.mu.Unlock()
	question := info.IsQuestion()
	if question && t.questions >= maxQuestions {
		t.limited["questions"]++
		return nil
	}
	if !question && len(t.live)-t.questions >= t.max {
		t.limited[t.scarce]++
		return nil
	}
	if !t.rate.allow(time.Since(t.began)) {
		t.limited["rate"]++
		return nil
	}
	f := &Flow{ID: id, Info: info, Start: time.Now(), Gone: make(chan struct{}), trace: t.Trace}
	f.Become(Begun)
	t.live[id] = f
	if question {
		t.questions++
	}
	return f
}

// Drop forgets a flow; one that is gone already is no error.
func (t *Table) Drop(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.live[id]
	if f == nil {
		return
	}
	delete(t.live, id)
	if f.Info.IsQuestion() {
		t.questions--
	}
}

// Find is a live flow, or nil.
func (t *Table) Find(id uint64) *Flow {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live[id]
}

// All are the live flows.
func (t *Table) All() []*Flow {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Values(t.live))
}

// Limit counts a refusal.
func (t *Table) Limit(what string) {
	t.mu.Lock()
	t.limited[what]++
	t.mu.Unlock()
}

// TakeLimited returns the refusals since the last call.
func (t *Table) TakeLimited() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.limited
	t.limited = map[string]int64{}
	return taken
}

// Configure sets the bounds; no flow is refused or ended that lives.
func (t *Table) Configure(l control.Limits) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.Flows > 0 {
		t.max = l.Flows
	}
	if room := roomForFlows(); room < t.max {
		t.max, t.scarce = room, LimitDescriptors
	}
	t.rate = newRateLimit(l.PerSecond)
}

package gateway

import (
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/waiter"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/flow"
)

const (
	// maxHeld is how many connections of the guest may be between SYN and acceptance.
	maxHeld = 4096
	// heldRoom is how many make room at once when the table is full of others.
	heldRoom = 64
	// handshakeTimeout bounds a guest that does not complete what it began.
	handshakeTimeout = 10 * time.Second
)

// heldSYNs are the connections that the guest asked for and that were not accepted yet.
//
//	held ──► bound to its flow ──► accepting ──► released
//	  └───────────┴──── displaced ────┴────────────▲
//
// Each costs a place, and while its destination is dialled a descriptor. A full table drops the newcomer
// if its own destination has most of the places, and else gives some of the others' up for it: a flood
// towards one destination does not keep the guest from another. A SYN that is dropped or displaced comes
// again from the guest's kernel, so that nothing else is said about it.
type heldSYNs struct {
	max     int
	mu      sync.Mutex
	entries map[stack.TransportEndpointID]*heldSYN
	places  int                   // taken; a displaced SYN has none, but stays an entry until it is released
	count   map[tcpip.Address]int // places by destination
}

type heldSYN struct {
	id        stack.TransportEndpointID
	since     time.Time
	quote     []byte // its start, for an ICMP error about it (RFC 792)
	flow      *flow.Flow
	queue     *waiter.Queue // while the handshake runs
	displaced bool
}

func newHeldSYNs(max int) *heldSYNs {
	return &heldSYNs{max: max, entries: map[stack.TransportEndpointID]*heldSYN{}, count: map[tcpip.Address]int{}}
}

// hold takes a place for a SYN. False means that there is none, or that the SYN is held already.
func (h *heldSYNs) hold(id stack.TransportEndpointID, packet *stack.PacketBuffer) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, held := h.entries[id]; held || len(h.entries) >= 2*h.max {
		return false
	}
	if h.places >= h.max {
		if h.count[id.LocalAddress] >= most(h.count) {
			return false
		}
		h.makeRoom()
	}
	h.entries[id] = &heldSYN{id: id, since: time.Now(), quote: quoteOf(packet)}
	h.count[id.LocalAddress]++
	h.places++
	return true
}

func (h *heldSYNs) makeRoom() {
	placed := make([]*heldSYN, 0, len(h.entries))
	for _, syn := range h.entries {
		if !syn.displaced {
			placed = append(placed, syn)
		}
	}
	destination := func(syn *heldSYN) tcpip.Address { return syn.id.LocalAddress }
	older := func(a, b *heldSYN) int { return a.since.Compare(b.since) }
	for _, syn := range crowd(placed, destination, older, h.count, heldRoom) {
		h.leave(syn)
		syn.displaced = true
		syn.giveUp(control.EndLimit)
	}
}

// leave frees the place of a SYN.
func (h *heldSYNs) leave(syn *heldSYN) {
	to := syn.id.LocalAddress
	if h.count[to]--; h.count[to] == 0 {
		delete(h.count, to)
	}
	h.places--
}

// giveUp ends whatever is done for the SYN.
func (syn *heldSYN) giveUp(end string) {
	if syn.flow != nil {
		syn.flow.Abort(end)
	}
	if syn.queue != nil {
		syn.queue.Notify(waiter.WritableEvents) // the forwarder looks, and finds no connection
	}
}

// bind finds the SYN that a request of the forwarder is about, and says which flow it became.
func (h *heldSYNs) bind(id stack.TransportEndpointID, f *flow.Flow) *heldSYN {
	h.mu.Lock()
	defer h.mu.Unlock()
	syn := h.entries[id]
	syn.flow = f
	if syn.displaced {
		f.Abort(control.EndLimit)
	}
	return syn
}

// accepting says that the handshake runs on this queue, and tells whether it should begin at all.
func (h *heldSYNs) accepting(syn *heldSYN, queue *waiter.Queue) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	syn.queue = queue
	return !syn.displaced
}

// release forgets a SYN whose fate is known.
func (h *heldSYNs) release(id stack.TransportEndpointID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	syn := h.entries[id]
	if syn == nil {
		return
	}
	if !syn.displaced {
		h.leave(syn)
	}
	delete(h.entries, id)
}

// reset gives up the SYN that the guest itself reset.
func (h *heldSYNs) reset(id stack.TransportEndpointID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if syn := h.entries[id]; syn != nil {
		syn.giveUp(control.EndGone)
	}
}

package gateway

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/flow"
	"sbx.dev/netstack/internal/mux"
)

const (
	// A flow that was never answered is forgotten sooner (RFC 4787 4.3 asks for two minutes of what
	// is in use; DNS-like exchanges need no more than this).
	udpUnanswered = 30 * time.Second
	udpAnswered   = 120 * time.Second
	// A resolver in the guest takes a new port for each question, and asks again after 5 seconds at most.
	udpQuestion = 10 * time.Second
	// udpDenied keeps a denied flow quiet; the next datagram after it asks again.
	udpDenied = 10 * time.Second
	// maxUDP bounds the table. One that is full gives up some flows at once, since choosing costs time.
	maxUDP  = 1024
	udpRoom = 64
	// What may wait for a verdict, per flow.
	maxHeldDatagrams = 8
	maxHeldBytes     = 64 << 10
	maxDatagram      = 65535
)

// udpState of a flow: asked until the verdict, then exactly one of the others.
type udpState int

const (
	udpAsked udpState = iota
	udpAllowed
	udpRedirected
	udpDropped
	udpRejected
)

// udpFlow is an exchange between one guest port and one destination.
type udpFlow struct {
	id       stack.TransportEndpointID
	flow     *flow.Flow
	state    udpState
	held     [][]byte
	heldSize int
	quote    []byte // of the latest datagram, for ICMP errors
	conn     *net.UDPConn
	stream   *mux.Datagrams
	seen     time.Time
	spoke    time.Time // inbound: when the peer last sent something
	answered bool
	// Of an inbound flow: where the guest's answers go, the datagram that may have to be sent again,
	// whether the flow has moved to the guest's other address, whether sbx was told that nobody listens there
	// either, and where those of its port went.
	peer   func([]byte)
	latest []byte
	moved  bool
	nobody bool
	six    *atomic.Bool
}

// hold keeps a datagram for the verdict, as far as there is room.
func (u *udpFlow) hold(payload []byte) {
	if len(u.held) < maxHeldDatagrams && u.heldSize+len(payload) <= maxHeldBytes {
		u.held = append(u.held, payload)
		u.heldSize += len(payload)
	}
}

// release takes what was held.
func (u *udpFlow) release() [][]byte {
	held := u.held
	u.held, u.heldSize = nil, 0
	return held
}

// udpTable holds the guest's UDP flows by their four-tuple.
type udpTable struct {
	g    *Gateway
	mu   sync.Mutex
	live map[stack.TransportEndpointID]*udpFlow
	// published are the guest's UDP ports that somebody may write to, with how many listeners lead there.
	published map[uint16]int
	// lastPeer is the port of the gateway that stands for the latest peer.
	lastPeer uint16
	// buffers are lent to flows while they read a datagram.
	buffers sync.Pool
}

func newUDPTable(g *Gateway) *udpTable {
	t := &udpTable{g: g, live: map[stack.TransportEndpointID]*udpFlow{}, published: map[uint16]int{}}
	t.buffers.New = func() any { b := make([]byte, maxDatagram); return &b }
	go t.expire()
	return t
}

// handle is called by the stack for every datagram, on its receiving goroutine: nothing in it waits.
func (t *udpTable) handle(id stack.TransportEndpointID, packet *stack.PacketBuffer) bool {
	payload := packet.Data().AsRange().ToSlice()
	t.mu.Lock()
	u := t.live[id]
	if u == nil && !t.isLate(id) && !t.g.overloaded() {
		u = t.admit(id)
	}
	if u == nil {
		t.mu.Unlock()
		return true
	}
	u.seen = time.Now()
	switch u.state {
	case udpAsked:
		u.hold(payload)
		u.quote = quoteOf(packet)
		t.mu.Unlock()
	case udpRejected:
		quote := quoteOf(packet)
		t.mu.Unlock()
		t.g.sendUnreachable(quote, id, unreachableAdmin)
	case udpDropped:
		t.mu.Unlock()
	default:
		u.quote = quoteOf(packet)
		if u.peer != nil {
			u.answered, u.latest = true, nil
		}
		t.mu.Unlock()
		u.send(t.g, payload)
	}
	return true
}

// admit makes room for a new flow and asks about it. Called with the lock held.
func (t *udpTable) admit(id stack.TransportEndpointID) *udpFlow {
	if len(t.live) >= maxUDP {
		t.makeRoom()
	}
	f := t.g.begin(outbound("udp", id))
	if f == nil {
		return nil
	}
	u := &udpFlow{id: id, flow: f, seen: time.Now()}
	t.live[id] = u
	go t.g.control.Guard(func() { t.settle(u) })
	return u
}

// makeRoom ends flows of the guest's ports that have most of them, those first that were idle longest: a
// port that sprays the world displaces its own flows and not the question of a resolver.
func (t *udpTable) makeRoom() {
	all, count := make([]*udpFlow, 0, len(t.live)), map[uint16]int{}
	for _, u := range t.live {
		all = append(all, u)
		count[u.id.RemotePort]++
	}
	port := func(u *udpFlow) uint16 { return u.id.RemotePort }
	older := func(a, b *udpFlow) int { return a.seen.Compare(b.seen) }
	for _, u := range crowd(all, port, older, count, udpRoom) {
		t.g.flows.Limit("udp")
		t.remove(u, control.EndIdle)
	}
}

// settle gets the verdict and lets go of what was held.
func (t *udpTable) settle(u *udpFlow) {
	verdict := t.g.decide(u.flow, control.Allow, control.Redirect) // it states no name that netstack reads
	var conn *net.UDPConn
	var stream *mux.Datagrams
	state, end := udpDropped, ""
	switch verdict.Action {
	case control.Allow:
		conn, end = t.g.dialUDP(u.flow, verdict)
		if end == "" {
			state = udpAllowed
		}
	case control.Redirect:
		if err := t.g.guard.MayServe(verdict, u.flow.Info); err != nil {
			end = guardEnd(err)
			break
		}
		state = udpRedirected
		// What sbx dials in netstack's place is watched like a dial of netstack's own.
		u.flow.Implicit.Store(verdict.Dial == "" && !verdict.Serve)
		stream = t.g.mux.OpenDatagrams(u.flow.ID, u.flow.Info, u.flow.Gone, mux.DatagramSink{
			Deliver: func(payload []byte) { t.reply(u, payload) },
			Refused: func() { t.g.refused(u) },
			Ended:   func() { u.flow.Abort(control.EndResetByUpstream) },
		})
	case control.Deny:
		if verdict.Reject {
			state = udpRejected
		}
	}
	t.mu.Lock()
	u.state, u.conn, u.stream = state, conn, stream
	held, quote := u.release(), u.quote
	t.mu.Unlock()
	switch state {
	case udpDropped, udpRejected:
		if end != "" {
			t.g.finish(u.flow, end)
		} else {
			t.g.forget(u.flow)
		}
		if state == udpRejected && quote != nil {
			t.g.sendUnreachable(quote, u.id, unreachableAdmin)
		}
		if end == control.EndUnreachable && quote != nil {
			t.g.sendUnreachable(quote, u.id, unreachableHost)
		}
		return
	case udpAllowed:
		go t.g.control.Guard(func() { t.receive(u) })
	}
	for _, payload := range held {
		u.send(t.g, payload)
	}
	<-u.flow.Gone
	t.drop(u)
}

// drop ends a flow that was ended from outside.
func (t *udpTable) drop(u *udpFlow) {
	t.mu.Lock()
	t.remove(u, control.EndKilled)
	t.mu.Unlock()
}

// remove ends a flow. Called with the lock held.
func (t *udpTable) remove(u *udpFlow, end string) {
	if t.live[u.id] == u {
		delete(t.live, u.id)
	}
	if u.conn != nil {
		u.conn.Close()
	}
	if u.stream != nil {
		u.stream.Close()
	}
	if u.state == udpDropped || u.state == udpRejected {
		t.g.forget(u.flow)
		return
	}
	go t.g.finish(u.flow, end) // the lock is held, and finish waits for nobody else's
	u.flow.Abort(end)
}

// expire ends idle flows.
func (t *udpTable) expire() {
	for range time.Tick(2 * time.Second) {
		now := time.Now()
		t.mu.Lock()
		for _, u := range t.live {
			limit := udpUnanswered
			switch {
			case u.state == udpDropped, u.state == udpRejected:
				limit = udpDenied
			case u.answered && u.flow.Info.IsQuestion():
				limit = udpQuestion
			case u.answered:
				limit = udpAnswered
			}
			if now.Sub(u.seen) > limit {
				t.remove(u, control.EndIdle)
			}
		}
		t.mu.Unlock()
	}
}

// flushDenied forgets denied flows: a new policy may allow them.
func (t *udpTable) flushDenied() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, u := range t.live {
		if u.state == udpDropped || u.state == udpRejected {
			t.remove(u, control.EndDenied)
		}
	}
}

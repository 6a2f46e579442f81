package gateway

import (
	"errors"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/dial"
	"sbx.dev/netstack/internal/flow"
	"sbx.dev/netstack/internal/verdict"
)

const (
	timeWaitTimeout = 5 * time.Second
	// synAgain is well before a kernel sends a SYN for the second time (RFC 6298: after a second).
	synAgain = 500 * time.Millisecond
)

// tcpHandler answers what needs no question inline and hands new SYNs to the forwarder. In the
// stack's contract true means consumed, false means answer with a RST.
func (g *Gateway) tcpHandler() func(stack.TransportEndpointID, *stack.PacketBuffer) bool {
	// Requests of displaced SYNs take a moment to go; the bound that counts is heldSYNs'.
	forwarder := tcp.NewForwarder(g.stack, bufferDefault, 4*maxHeld, func(r *tcp.ForwarderRequest) {
		g.workers.do(func() { g.control.Guard(func() { g.openTCP(r) }) })
	})
	return func(id stack.TransportEndpointID, packet *stack.PacketBuffer) bool {
		segment := header.TCP(packet.TransportHeader().Slice())
		if len(segment) < header.TCPMinimumSize {
			return true
		}
		flags := segment.Flags()
		if flags&header.TCPFlagRst != 0 {
			g.held.reset(id)
			return true
		}
		if flags&(header.TCPFlagSyn|header.TCPFlagAck|header.TCPFlagFin) != header.TCPFlagSyn {
			return flags&header.TCPFlagSyn != 0 // odd combinations are dropped, strays get a RST
		}
		if g.quiet.Has(id) || g.overloaded() {
			return true
		}
		key := verdict.Target{Proto: "tcp", Addr: addrOf(id.LocalAddress), Port: id.LocalPort}
		if verdict, ok := g.cache.Get(key, g.control.Epoch.Load()); ok && verdict.Action == control.Deny {
			g.reportCachedDenial(id, verdict.Own)
			if !verdict.Reject {
				g.quiet.Add(id)
			}
			return !verdict.Reject
		}
		if !g.held.hold(id, packet) {
			return true
		}
		taken := forwarder.HandlePacket(id, packet)
		if !taken {
			g.held.release(id)
		}
		return taken
	}
}

func (g *Gateway) reportCachedDenial(id stack.TransportEndpointID, own bool) {
	info := outbound("tcp", id)
	info.Own = own
	g.control.Tell(control.Cached{
		T: "cached", ID: g.control.NextID.Add(1), FlowInfo: info, Action: control.Deny,
	})
}

// outbound describes a flow the guest opens. The stack's names are from its own point of view: local
// is where the guest wants to go.
func outbound(proto string, id stack.TransportEndpointID) control.FlowInfo {
	return control.FlowInfo{
		Proto: proto, Dir: "outbound",
		Src: addrOf(id.RemoteAddress).String(), Sport: id.RemotePort,
		Dst: addrOf(id.LocalAddress).String(), Dport: id.LocalPort,
	}
}

// heldRequest is the forwarder's request for a held SYN; exactly one of its ends is called.
type heldRequest struct {
	g       *Gateway
	request *tcp.ForwarderRequest
	id      stack.TransportEndpointID
	syn     *heldSYN
}

// drop leaves the SYN and those that come after it without an answer.
func (h heldRequest) drop() {
	h.g.quiet.Add(h.id)
	h.forget()
}

// forget leaves this SYN without an answer; the next is a new question.
func (h heldRequest) forget() {
	h.request.Complete(false)
	h.g.held.release(h.id)
}

func (h heldRequest) reset() {
	h.request.Complete(true)
	h.g.held.release(h.id)
}

func (h heldRequest) unreachable() {
	if h.syn.quote != nil {
		h.g.sendUnreachable(h.syn.quote, h.id, unreachableHost)
	}
	h.forget()
}

// accept completes the guest's handshake; nil when the guest gave up meanwhile.
func (h heldRequest) accept() *guestConn {
	var queue waiter.Queue
	if !h.g.held.accepting(h.syn, &queue) {
		h.forget()
		return nil
	}
	late := time.AfterFunc(handshakeTimeout, func() { queue.Notify(waiter.WritableEvents) })
	endpoint, err := h.request.CreateEndpoint(&queue)
	late.Stop()
	h.forget()
	if err != nil {
		return nil
	}
	return h.g.newGuestConn(&queue, endpoint)
}

func (g *Gateway) openTCP(request *tcp.ForwarderRequest) {
	id := request.ID()
	held := heldRequest{g: g, request: request, id: id}
	f := g.begin(outbound("tcp", id))
	if f == nil {
		held.reset()
		return
	}
	held.syn = g.held.bind(id, f)
	verdict := g.decide(f, control.Allow, control.Inspect, control.Redirect)
	switch verdict.Action {
	case control.Allow:
		g.allowTCP(f, verdict, held)
	case control.Inspect:
		guest := held.accept()
		if guest == nil {
			g.finish(f, control.EndGone)
			return
		}
		g.inspectTCP(f, guest, verdict)
	case control.Redirect:
		if err := g.guard.MayServe(verdict, f.Info); err != nil {
			held.drop()
			g.finish(f, guardEnd(err))
		} else if guest := held.accept(); guest != nil {
			g.redirectTCP(f, guest, nil)
		} else {
			g.finish(f, control.EndGone)
		}
	default:
		g.forget(f)
		switch {
		case f.Over():
			held.forget()
		case verdict.Reject:
			held.reset()
		default:
			held.drop()
		}
	}
}

// allowTCP dials before it accepts, so that the guest sees what the upstream does.
func (g *Gateway) allowTCP(f *flow.Flow, verdict control.Message, held heldRequest) {
	upstream, end := g.dialTCP(f, verdict)
	switch {
	case end == "":
		guest := held.accept()
		if guest == nil {
			upstream.Close()
			g.finish(f, control.EndGone)
			return
		}
		g.opened(f, f.Dialled.String()) // now that the guest need not wait for it
		upstream.KeepAlive()
		g.splice(f, guest, upstream)
		return
	case f.Over():
		held.forget()
	case end == control.EndLimit:
		g.flows.Limit(flow.LimitDescriptors)
		held.reset()
	case end == control.EndRefused:
		held.reset()
	case end == control.EndUnreachable:
		held.unreachable()
	default:
		held.drop()
	}
	g.finish(f, end)
}

// dialTCP dials the judged address. A non-empty end says why there is no connection.
func (g *Gateway) dialTCP(f *flow.Flow, verdict control.Message) (dial.Conn, string) {
	f.Implicit.Store(verdict.Dial == "")
	to, err := g.guard.DialTarget(verdict, f.Info)
	if err != nil {
		return dial.Conn{}, guardEnd(err)
	}
	start := time.Now()
	conn, err := dial.TCP(to, f.Gone)
	if err != nil {
		return dial.Conn{}, dial.End(err)
	}
	// A SYN that was sent again went where the route led by then.
	if f.Implicit.Load() && time.Since(start) > synAgain {
		if err := g.guard.Check(f.Info.Proto, to); err != nil {
			conn.Abort()
			return dial.Conn{}, guardEnd(err)
		}
	}
	f.Implicit.Store(false)
	f.Dialled = to
	return conn, ""
}

// guardEnd is how a flow ends that the guard stopped.
func guardEnd(err error) string {
	if errors.Is(err, verdict.ErrGuard) {
		return control.EndGuard
	}
	return dial.End(err)
}

// redirectTCP hands the guest's stream to sbx, with the bytes that were read of it already.
func (g *Gateway) redirectTCP(f *flow.Flow, guest *guestConn, first []byte) {
	stream := g.mux.Open(f.ID, f.Info, creditFor(g.streams.Load()))
	if len(first) > 0 {
		if _, err := stream.Write(first); err != nil {
			guest.Abort()
			g.finish(f, control.EndResetByUpstream)
			return
		}
		f.Up.Add(int64(len(first)))
	}
	g.splice(f, guest, stream)
}

package main

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	timeWaitTimeout = 5 * time.Second
	dialTimeout     = 15 * time.Second
	// keep-alive on the guest's side: a guest that vanished frees its flow within two minutes.
	keepAliveIdle     = 60 * time.Second
	keepAliveInterval = 15 * time.Second
	keepAliveCount    = 4
)

// tcpHandler answers what needs no question inline and hands new SYNs to the forwarder. In the
// stack's contract true means consumed, false means answer with a RST.
func (g *gateway) tcpHandler() func(stack.TransportEndpointID, *stack.PacketBuffer) bool {
	// Requests of displaced SYNs take a moment to go; the bound that counts is heldSYNs'.
	forwarder := tcp.NewForwarder(g.stack, bufferDefault, 4*maxHeld, func(r *tcp.ForwarderRequest) {
		g.workers.do(func() { guarded(func() { g.openTCP(r) }) })
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
		if g.quiet.has(id) || g.overloaded() {
			return true
		}
		key := target{"tcp", addrOf(id.LocalAddress), id.LocalPort}
		if verdict, ok := g.cache.get(key, g.control.epoch.Load()); ok && verdict.Action == actionDeny {
			g.reportCachedDenial(id)
			if !verdict.Reject {
				g.quiet.add(id)
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

func (g *gateway) reportCachedDenial(id stack.TransportEndpointID) {
	g.control.tell(cachedMessage{
		T: "cached", ID: g.control.nextID.Add(1), flowInfo: outbound("tcp", id), Action: actionDeny,
	})
}

// outbound describes a flow the guest opens. The stack's names are from its own point of view: local
// is where the guest wants to go.
func outbound(proto string, id stack.TransportEndpointID) flowInfo {
	return flowInfo{
		Proto: proto, Dir: "outbound",
		Src: addrOf(id.RemoteAddress).String(), Sport: id.RemotePort,
		Dst: addrOf(id.LocalAddress).String(), Dport: id.LocalPort,
	}
}

// heldRequest is the forwarder's request for a held SYN; exactly one of its ends is called.
type heldRequest struct {
	g       *gateway
	request *tcp.ForwarderRequest
	id      stack.TransportEndpointID
	syn     *heldSYN
}

// drop leaves the SYN and those that come after it without an answer.
func (h heldRequest) drop() {
	h.g.quiet.add(h.id)
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
	return newGuestConn(&queue, endpoint)
}

// guestConn is the guest's end of a TCP flow.
type guestConn struct {
	*gonet.TCPConn
	endpoint tcpip.Endpoint
	queue    *waiter.Queue
	// first judges the first bytes before they are read; replay is what it let pass.
	first  func() ([]byte, error)
	replay []byte
	// handed holds the first bytes of a guest that leaves its splice for sbx.
	handed atomic.Pointer[[]byte]
	over   sync.Once
}

// streams are the connections with the guest that live.
var streams atomic.Int64

func newGuestConn(queue *waiter.Queue, endpoint tcpip.Endpoint) *guestConn {
	endpoint.SocketOptions().SetKeepAlive(true)
	idle, interval := tcpip.KeepaliveIdleOption(keepAliveIdle), tcpip.KeepaliveIntervalOption(keepAliveInterval)
	endpoint.SetSockOpt(&idle)
	endpoint.SetSockOpt(&interval)
	endpoint.SetSockOptInt(tcpip.KeepaliveCountOption, keepAliveCount)
	if size := windowFor(streams.Add(1)); size > 0 {
		endpoint.SocketOptions().SetSendBufferSize(size, true)
		endpoint.SocketOptions().SetReceiveBufferSize(size, true)
	}
	return &guestConn{TCPConn: gonet.NewTCPConn(queue, endpoint), endpoint: endpoint, queue: queue}
}

func (c *guestConn) end() { c.over.Do(func() { streams.Add(-1) }) }

// Close ends the connection; what was written still arrives.
func (c *guestConn) Close() error {
	c.end()
	return c.TCPConn.Close()
}

// Abort resets the connection.
func (c *guestConn) Abort() {
	if c.handed.Load() != nil {
		return
	}
	c.end()
	c.endpoint.Abort()
}

func (g *gateway) openTCP(request *tcp.ForwarderRequest) {
	id := request.ID()
	held := heldRequest{g: g, request: request, id: id}
	f := g.begin(outbound("tcp", id))
	if f == nil {
		held.reset()
		return
	}
	held.syn = g.held.bind(id, f)
	verdict := g.decide(f)
	switch verdict.Action {
	case actionAllow:
		g.allowTCP(f, verdict, held)
	case actionInspect:
		guest := held.accept()
		if guest == nil {
			g.finish(f, endGone)
			return
		}
		g.inspectTCP(f, guest, verdict)
	case actionRedirect:
		if guest := held.accept(); guest != nil {
			g.redirectTCP(f, guest, nil)
		} else {
			g.finish(f, endGone)
		}
	default:
		g.forget(f)
		switch {
		case f.over():
			held.forget()
		case verdict.Reject:
			held.reset()
		default:
			held.drop()
		}
	}
}

// allowTCP dials before it accepts, so that the guest sees what the upstream does.
func (g *gateway) allowTCP(f *flow, verdict fromSbx, held heldRequest) {
	upstream, end := g.dialTCP(f, verdict)
	switch {
	case end == "":
		guest := held.accept()
		if guest == nil {
			upstream.Close()
			g.finish(f, endGone)
			return
		}
		g.opened(f) // now that the guest need not wait for it
		upstream.keepAlive()
		g.splice(f, guest, upstream)
		return
	case f.over(), end == endLimit:
		held.forget()
	case end == endRefused:
		held.reset()
	case end == endUnreachable:
		held.unreachable()
	default:
		held.drop()
	}
	g.finish(f, end)
}

// dialTCP dials the judged address. A non-empty end says why there is no connection.
func (g *gateway) dialTCP(f *flow, verdict fromSbx) (hostConn, string) {
	addr, _ := netip.ParseAddr(f.info.Dst)
	to, err := g.guard.dialTarget(verdict, netip.AddrPortFrom(addr, f.info.Dport))
	if err != nil {
		return hostConn{}, endGuard
	}
	conn, err := dialHost(to, f.gone)
	if err != nil {
		return hostConn{}, dialEnd(err)
	}
	f.dialled = to
	return conn, ""
}

// opened tells sbx that the other side answered.
func (g *gateway) opened(f *flow) {
	g.control.tell(openedMessage{T: "opened", ID: f.id, Dial: f.dialled.String()})
}

// dialEnd sorts dial errors by what the guest is to see of them.
func dialEnd(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return endRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH),
		errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return endUnreachable
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOBUFS):
		return endLimit
	}
	return endTimeout
}

// redirectTCP hands the guest's stream to sbx, with the bytes that were read of it already.
func (g *gateway) redirectTCP(f *flow, guest *guestConn, first []byte) {
	stream := g.mux.open(f, creditFor(streams.Load()))
	if len(first) > 0 {
		if _, err := stream.Write(first); err != nil {
			guest.Abort()
			g.finish(f, endResetByUpstream)
			return
		}
		f.up.Add(int64(len(first)))
	}
	g.splice(f, guest, stream)
}

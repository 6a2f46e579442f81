// Package gateway is the other end of the guest's cable: it asks sbx about every flow and carries out the
// verdict.
package gateway

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/flow"
	"sbx.dev/netstack/internal/link"
	"sbx.dev/netstack/internal/mux"
	"sbx.dev/netstack/internal/publish"
	"sbx.dev/netstack/internal/verdict"
)

// Gateway carries out verdicts for one guest.
type Gateway struct {
	control *control.Channel
	stack   *stack.Stack
	addrs   link.Addresses
	cable   *link.Cable
	guard   *verdict.Guard
	flows   *flow.Table
	cache   *verdict.Cache
	quiet   *verdict.Quiet
	held    *heldSYNs
	udp     *udpTable
	pings   *pingTable
	mux     *mux.Mux
	publish *publish.Publisher
	workers workers
	buffers *buffers
	streams atomic.Int64 // connections with the guest that live
}

// New is the gateway that the configuration asks for, and the cable to its guest.
func New(c *control.Channel, m *mux.Mux, config control.Message) (*Gateway, *link.Cable, error) {
	if config.T != "config" || config.V != control.Version {
		return nil, nil, fmt.Errorf("first message is %q version %d, not config version %d", config.T, config.V, control.Version)
	}
	if config.MTU < 1280 || config.MTU > 65520 {
		return nil, nil, fmt.Errorf("config: MTU %d is not between 1280 and 65520", config.MTU)
	}
	addrs, err := link.ParseAddresses(config.Guest, config.Gateway)
	if err != nil {
		return nil, nil, err
	}
	guarded, err := verdict.NewGuard()
	if err != nil {
		return nil, nil, err
	}
	l := link.New(addrs, config.MTU)
	s, err := newStack(l)
	if err != nil {
		return nil, nil, err
	}
	g := &Gateway{
		workers: newWorkers(), buffers: newBuffers(),
		control: c, mux: m, stack: s, addrs: addrs, cable: l, flows: flow.NewTable(),
		cache: verdict.NewCache(),
		quiet: verdict.NewQuiet(),
		held:  newHeldSYNs(maxHeld),
		guard: guarded,
	}
	g.udp, g.pings, g.publish = newUDPTable(g), newPingTable(g), publish.New(c, g)
	l.Undelivered = g.udp.undelivered
	g.flows.Configure(config.Limits)
	if config.VerdictTimeoutMs > 0 {
		c.Timeout = time.Duration(config.VerdictTimeoutMs) * time.Millisecond
	}
	c.Epoch.Store(config.Epoch)
	g.guard.SetHost(config.HostAddresses)
	if err := verdict.WatchRoutes(g.routesChanged, c.Fail); err != nil {
		return nil, nil, err
	}
	return g, l, nil
}

// Trace has the changes of all flows told; to be called before Attach.
func (g *Gateway) Trace(trace flow.Trace) { g.flows.Trace = trace }

// Attach connects the stack's transport layer to the gateway. Before it, nothing answers.
func (g *Gateway) Attach() {
	g.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, g.tcpHandler())
	g.stack.SetTransportProtocolHandler(udp.ProtocolNumber, g.udp.handle)
	g.stack.SetTransportProtocolHandler(icmp.ProtocolNumber4, g.pings.handle4)
	g.stack.SetTransportProtocolHandler(icmp.ProtocolNumber6, g.pings.handle6)
}

// overloaded counts what the guest opens faster than sbx can hear of it, and tells that it is too much.
func (g *Gateway) overloaded() bool {
	if !g.control.Behind() {
		return false
	}
	g.flows.Limit("pending")
	return true
}

// begin opens a flow. A nil flow was refused by a limit.
func (g *Gateway) begin(info control.FlowInfo) *flow.Flow {
	return g.flows.Open(g.control.NextID.Add(1), info)
}

// decide gets the verdict on a new flow. `can` is what may be done with flows of its kind beside denying them.
func (g *Gateway) decide(f *flow.Flow, can ...string) control.Message {
	verdict := g.verdict(f)
	if verdict.Action != control.Deny && !slices.Contains(can, verdict.Action) {
		verdict = control.Message{Action: control.Deny}
	}
	f.Become(flow.Event(verdict.Action))
	return verdict
}

// verdict answers from the cache or asks sbx; any failure denies. Of an sbx that has become silent, only
// denials are repeated.
func (g *Gateway) verdict(f *flow.Flow) control.Message {
	key, cacheable := verdict.TargetOf(f.Info)
	epoch := g.control.Epoch.Load()
	if cacheable {
		verdict, ok := g.cache.Get(key, epoch)
		if ok && (verdict.Action == control.Deny || g.control.Attended()) {
			f.Info.Own = verdict.Own
			note := control.Cached{T: "cached", ID: f.ID, FlowInfo: f.Info, Action: verdict.Action}
			if verdict.Action == control.Allow {
				g.control.Tell(note)
			} else {
				g.control.Send(note) // sbx is about to serve it, or to be asked again
			}
			return verdict
		}
	}
	if f.Info.Dir == "outbound" {
		f.Info.Own = g.guard.IsOwn(f.Info.Proto, f.Info.Destination())
	}
	verdict, err := g.control.Judge(f.ID, f.Info, f.Gone)
	verdict.Own = f.Info.Own
	if err != nil {
		if err == control.ErrPending {
			g.flows.Limit("pending")
		}
		f.Abort(control.EndDenied)
		g.finish(f, control.EndDenied) // sbx may still answer, and would wait for the flow's end
		return control.Message{Action: control.Deny}
	}
	if cacheable {
		g.cache.Put(key, verdict)
	}
	return verdict
}

// routesChanged ends what would now lead to the host, and forgets verdicts that were given without
// knowing of it. An established TCP connection has its peer already.
func (g *Gateway) routesChanged() {
	g.cache.Flush()
	g.quiet.Flush()
	for _, f := range g.flows.All() {
		if f.Implicit.Load() && errors.Is(g.guard.Check(f.Info.Proto, f.Info.Destination()), verdict.ErrGuard) {
			f.Abort(control.EndGuard)
		}
	}
}

// finish reports the end of a flow that was allowed, once, and frees its place.
func (g *Gateway) finish(f *flow.Flow, end string) {
	end = f.EndOf(end)
	if !f.Become(flow.Event(end)) {
		return
	}
	g.flows.Drop(f.ID)
	g.control.Tell(control.Closed{
		T: "closed", ID: f.ID, Up: f.Up.Load(), Down: f.Down.Load(),
		Ms: time.Since(f.Start).Milliseconds(), End: end,
	})
}

// opened tells sbx that the other side answered, or that there is one to send to.
func (g *Gateway) opened(f *flow.Flow, dialled string) {
	f.Become(flow.Connected)
	g.control.Tell(control.Opened{T: "opened", ID: f.ID, Dial: dialled})
}

// forget frees the place of a flow that was denied: the verdict said all there is to say.
func (g *Gateway) forget(f *flow.Flow) {
	g.flows.Drop(f.ID)
}

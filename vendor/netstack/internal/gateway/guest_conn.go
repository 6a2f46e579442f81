package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/waiter"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/dial"
	"sbx.dev/netstack/internal/flight"
	"sbx.dev/netstack/internal/flow"
)

// guestConn is the guest's end of a TCP flow.
type guestConn struct {
	*gonet.TCPConn
	endpoint tcpip.Endpoint
	queue    *waiter.Queue
	// judge says what of the guest's first bytes may go out, and is set anew where more has to be judged; nil
	// when nothing has to.
	judge func() ([]byte, error)
	// watch looks at what comes after that, and refuses it; nil when nothing could matter any more.
	watch func([]byte) error
	// greeted says that the server has said something.
	greeted atomic.Bool
	// gate waits for what the server says to a ClientHello.
	gate atomic.Pointer[retryGate]
	// handed holds the first bytes of a guest that leaves its splice for sbx.
	handed atomic.Pointer[[]byte]
	// end says that it counts no longer among those that live.
	end func()
}

func (g *Gateway) newGuestConn(queue *waiter.Queue, endpoint tcpip.Endpoint) *guestConn {
	endpoint.SocketOptions().SetKeepAlive(true)
	idle, interval := tcpip.KeepaliveIdleOption(dial.KeepAliveIdle), tcpip.KeepaliveIntervalOption(dial.KeepAliveInterval)
	endpoint.SetSockOpt(&idle)
	endpoint.SetSockOpt(&interval)
	endpoint.SetSockOptInt(tcpip.KeepaliveCountOption, dial.KeepAliveCount)
	if size := windowFor(g.streams.Add(1)); size > 0 {
		endpoint.SocketOptions().SetSendBufferSize(size, true)
		endpoint.SocketOptions().SetReceiveBufferSize(size, true)
	}
	return &guestConn{
		TCPConn: gonet.NewTCPConn(queue, endpoint), endpoint: endpoint, queue: queue,
		end: sync.OnceFunc(func() { g.streams.Add(-1) }),
	}
}

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
	c.openGate(flight.Unheard)
	c.end()
	c.endpoint.Abort()
}

// toUpstream is asked about each piece of the guest's before it goes out.
func (c *guestConn) toUpstream(piece []byte) error {
	if c.watch == nil {
		return nil
	}
	return c.watch(piece)
}

// fromUpstream hears each piece of the server's before the guest does. While a guest is being handed over,
// what the server does is nothing to it any more.
func (c *guestConn) fromUpstream(piece []byte) error {
	if !c.greeted.Load() {
		c.greeted.Store(true)
	}
	if c.handed.Load() != nil {
		return errHanded
	}
	if gate := c.gate.Load(); gate != nil && gate.heard(piece) {
		c.gate.Store(nil)
	}
	return nil
}

// CloseWrite passes the server's end on.
func (c *guestConn) CloseWrite() error {
	if c.handed.Load() != nil {
		return nil
	}
	c.openGate(flight.Other)
	return c.TCPConn.CloseWrite()
}

func (c *guestConn) openGate(answer flight.Answer) {
	if gate := c.gate.Swap(nil); gate != nil {
		gate.open(answer)
	}
}

// awaitGate waits for the server's answer. A guest that ends without anything that would have to be held
// back need not wait: its end is passed on.
func (c *guestConn) awaitGate(gate *retryGate, holds bool, f *flow.Flow) flight.Answer {
	const over = waiter.EventHUp | waiter.EventErr
	entry, changed := waiter.NewChannelEntry(over | waiter.ReadableEvents)
	c.queue.EventRegister(&entry)
	defer c.queue.EventUnregister(&entry)
	var patience <-chan time.Time
	for {
		state := c.endpoint.Readiness(over | waiter.EventRdHUp | waiter.ReadableEvents)
		unread, _ := c.endpoint.GetSockOptInt(tcpip.ReceiveQueueSizeOption)
		switch {
		case state&over != 0:
			return flight.Unheard
		case state&waiter.EventRdHUp == 0:
		case unread == 0 && !holds:
			return flight.Other
		case patience == nil:
			patience = time.After(drainIdle)
		}
		select {
		case <-gate.opened:
			return gate.answer
		case <-f.Gone:
			return flight.Unheard
		case <-patience:
			f.Abort(control.EndIdle)
			return flight.Unheard
		case <-changed:
		}
	}
}

// linger waits until the guest has taken everything, our FIN included. One that stopped reading would make
// the stack keep what is left for ever, and nobody count it: it is reset in the end.
func (c *guestConn) linger(hangup, gone <-chan struct{}, patience time.Duration) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-hangup:
	case <-gone:
		c.Abort()
	case <-late.C:
		c.Abort()
	}
}

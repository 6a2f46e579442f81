package gateway

import (
	"errors"
	"io"
	"sync"
	"time"

	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/flight"
	"sbx.dev/netstack/internal/flow"
)

// A server of TLS 1.3 may ask for a second ClientHello, and takes the name from that one. So a guest
// whose hello was judged goes on when its server has answered it, and if that answer is such a request,
// the second hello is judged like the first. Nothing else of a handshake is looked at: a client that
// renegotiates TLS 1.2 is encrypted by then. A server that answers in something else than TLS has read
// something else than a hello, and hears no more.
//
//	hello ──► waiting ──a ServerHello──► passing
//	              ├──a HelloRetryRequest──► reading ──the same name──► passing
//	              │                            └──another, none──► denied
//	              └──what is no TLS──► refusing ──an end──► passed on
//	                                       └──anything else──► denied

// maxRetry bounds what may come with a second hello: early data that was under way.
const maxRetry = 256 << 10

// retryGate waits for a server's answer to a ClientHello.
type retryGate struct {
	reader flight.ServerHello
	answer flight.Answer // unheard: the connection is over
	opened chan struct{}
	once   sync.Once
}

func (g *retryGate) open(answer flight.Answer) {
	g.once.Do(func() {
		g.answer = answer
		close(g.opened)
	})
}

// heard takes the server's next bytes and tells whether they are enough.
func (g *retryGate) heard(data []byte) bool {
	answer := g.reader.Feed(data)
	if answer == flight.Unheard {
		return false
	}
	g.open(answer)
	return true
}

// awaitServerHello holds the guest until its server has answered its hello. `rest` is what came with it.
func (g *Gateway) awaitServerHello(f *flow.Flow, guest *guestConn, rest []byte) {
	gate := &retryGate{opened: make(chan struct{})}
	guest.gate.Store(gate)
	f.Become(flow.Hello)
	guest.judge = func() ([]byte, error) {
		switch guest.awaitGate(gate, len(rest) > 0, f) {
		case flight.Other:
			f.Become(flow.Answered)
			return rest, nil
		case flight.Retry:
			return g.judgeRetry(f, guest, rest)
		case flight.Plain:
			return g.refuseMore(f, guest, rest)
		}
		return nil, errRead
	}
}

// refuseMore passes on the end of a guest whose server does not speak TLS, and nothing that comes before it. What
// a client says of such a server, an alert, is of no use to it.
func (g *Gateway) refuseMore(f *flow.Flow, guest *guestConn, said []byte) ([]byte, error) {
	chunk := make([]byte, 4096)
	for len(said) == 0 || flight.IsAlert(said) {
		n, err := guest.Read(chunk)
		said = chunk[:n]
		if n > 0 || err == nil {
			continue
		}
		if !errors.Is(err, io.EOF) {
			return nil, errRead
		}
		f.Become(flow.Answered)
		return nil, nil
	}
	g.askFirst(f, said, "plain") // to say why
	f.Abort(control.EndDenied)
	return nil, errDenied
}

// judgeRetry reads a second ClientHello and puts it before sbx like the first.
func (g *Gateway) judgeRetry(f *flow.Flow, guest *guestConn, rest []byte) ([]byte, error) {
	guest.SetReadDeadline(time.Now().Add(flightDeadline))
	defer guest.SetReadDeadline(time.Time{})
	var second flight.SecondHello
	held := rest
	state := second.Feed(rest)
	chunk := make([]byte, 4096)
	for state == flight.Partial && len(held) < maxRetry {
		n, err := guest.Read(chunk)
		held = append(held, chunk[:n]...)
		state = second.Feed(chunk[:n])
		if state != flight.Partial || err == nil {
			continue
		}
		if errors.Is(err, io.EOF) && len(second.Bytes) == 0 {
			f.Become(flow.Answered)
			return held, nil // it gives up, and says so at most
		}
		if !isTimeout(err) && !errors.Is(err, io.EOF) {
			return nil, errRead
		}
		break
	}
	end := "complete"
	if state == flight.Partial {
		end = "timeout"
	}
	if g.askFirst(f, second.Bytes, end).Action == control.Allow && state == flight.Whole {
		f.Become(control.Allow)
		return held, nil
	}
	f.Abort(control.EndDenied)
	return nil, errDenied
}

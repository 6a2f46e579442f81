package gateway

import (
	"bufio"
	"fmt"
	"time"

	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/publish"
)

// Obey carries out what sbx says until it asks for the end, goes away or falls silent: all of them end
// everything. Who asks is told first what was counted.
func (g *Gateway) Obey(in *bufio.Reader) error {
	for {
		message, err := g.control.Next(in)
		if control.IsEnd(err) {
			return nil
		}
		if err != nil {
			g.control.Fail("control channel: " + err.Error())
		}
		if message.T == "end" {
			g.tellLimits()
			g.control.Drain()
			return nil
		}
		if err := g.carryOut(message); err != nil {
			g.control.Fail(err.Error())
		}
	}
}

// carryOut does what one message says.
func (g *Gateway) carryOut(message control.Message) error {
	switch message.T {
	case "verdict", "reach":
		g.control.Answer(message)
	case "ping":
		fromGuest, toGuest := g.cable.Traffic()
		g.control.Tell(control.Pong{T: "pong", N: message.N, FromGuest: fromGuest, ToGuest: toGuest})
	case "policy":
		g.control.Epoch.Store(message.Epoch)
		g.cache.Flush()
		g.quiet.Flush()
		g.udp.flushDenied()
		g.pings.flushDenied()
	case "host":
		g.guard.SetHost(message.Addresses)
	case "kill":
		if f := g.flows.Find(message.ID); f != nil {
			f.Abort(control.EndKilled)
		}
	case "publish":
		g.publish.Publish(publish.Publication{
			Ref: message.Ref, Proto: message.Proto, Bind: message.Bind,
			Port: message.Port, GuestPort: message.GuestPort,
		})
	case "unpublish":
		g.publish.Unpublish(message.Ref)
	default:
		return fmt.Errorf("unknown control message %q", message.T)
	}
	return nil
}

// ReportLimits tells sbx, at most once a second, what the limits refused.
func (g *Gateway) ReportLimits() {
	for range time.Tick(time.Second) {
		g.tellLimits()
	}
}

func (g *Gateway) tellLimits() {
	for what, count := range g.flows.TakeLimited() {
		g.control.Tell(control.Limit{T: "limit", What: what, Count: count})
	}
}

package gateway

import (
	"bufio"
	"net"
	"testing"
	"time"

	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/flow"
	"sbx.dev/netstack/internal/nettest"
	"sbx.dev/netstack/internal/verdict"
)

func TestOnlyDenialsAreRepeatedForAnSbxThatFellSilent(t *testing.T) {
	for _, row := range []struct {
		cached string
		silent bool
		want   string
		asked  bool
	}{
		{control.Allow, false, control.Allow, false},
		{control.Inspect, false, control.Inspect, false},
		{control.Redirect, false, control.Redirect, false},
		{control.Deny, false, control.Deny, false},
		{control.Allow, true, control.Deny, true},
		{control.Inspect, true, control.Deny, true},
		{control.Redirect, true, control.Deny, true},
		{control.Deny, true, control.Deny, false},
	} {
		ours, theirs := net.Pipe()
		asked := make(chan bool, 1)
		go func() { // an sbx that reads and gives no verdict; its end would be the end of the process
			in := bufio.NewReader(theirs)
			for first := true; ; first = false {
				message, err := control.ReadMessage(in)
				if first {
					asked <- message.T == "flow"
				}
				if err != nil {
					return
				}
			}
		}()
		c := control.New(ours)
		c.Timeout = 20 * time.Millisecond
		done := make(chan struct{})
		if !row.silent {
			go func() {
				for {
					select {
					case <-done:
						return
					default:
						theirs.Write(nettest.FrameMessage(`{"t":"ping","n":1}`))
					}
				}
			}()
			go func() {
				for in := bufio.NewReader(ours); ; {
					if _, err := c.Next(in); err != nil {
						return
					}
				}
			}()
		}
		nettest.Settle(t, "sbx to be heard, or not", func() bool { return c.Attended() != row.silent })
		guard, err := verdict.NewGuard()
		if err != nil {
			t.Fatal(err)
		}
		g := &Gateway{control: c, flows: flow.NewTable(), guard: guard, cache: verdict.NewCache()}
		f := g.begin(control.FlowInfo{Proto: "tcp", Dir: "outbound", Src: "192.168.127.2", Dst: "1.1.1.1", Dport: 443})
		key, _ := verdict.TargetOf(f.Info)
		g.cache.Put(key, control.Message{Action: row.cached, TTLMs: 60_000})
		got := g.decide(f, control.Allow, control.Inspect, control.Redirect).Action
		close(done)
		if told := <-asked; got != row.want || told != row.asked {
			t.Errorf("%+v: %s, asked %t", row, got, told)
		}
	}
}

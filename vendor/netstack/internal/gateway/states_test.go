package gateway

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/flow"
	"sbx.dev/netstack/internal/nettest"
)

// tracing collects what becomes of the rig's flows, the events in order.
func (r *rig) tracing() (events func() string) {
	var mu sync.Mutex
	var list []string
	r.g.flows.Trace = func(_ uint64, _, to flow.State, event flow.Event) {
		mu.Lock()
		defer mu.Unlock()
		list = append(list, fmt.Sprintf("%s: %s", event, to))
	}
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(list, ", ")
	}
}

func TestAFlowGoesThroughTheStatesOfWhatHappensToIt(t *testing.T) {
	hello := nettest.ClientHello(t, "good.test")
	for what, row := range map[string]struct {
		answer []byte
		says   []byte
		allows bool
		want   string
	}{
		"allowed by its hello": {
			[]byte{22, 3, 3, 0, 38, 2, 0, 0, 34, 3, 3, 31: 9, 42: 0}, hello, true,
			"begun: asked, inspect: reading, first: stated, allow: dialling, connected: open, hello: held, answered: open",
		},
		"denied by its hello": {nil, hello, false, "begun: asked, inspect: reading, first: stated, denied: closed"},
		"silent at first": {
			[]byte("x"), nil, true, "begun: asked, inspect: reading, first: stated, inspect: dialling, connected: open",
		},
		"denied when it speaks late": {
			nil, []byte("late"), false,
			"begun: asked, inspect: reading, first: stated, inspect: dialling, connected: open, first: held, denied: closed",
		},
	} {
		server := record(t, row.answer)
		r, _ := inspecting(t, server.addr, func([]byte) bool { return row.allows })
		events := r.tracing()
		conn, err := r.dial(nettest.OpenHost + ":443")
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(nettest.Hang))
		if strings.Contains(what, "late") {
			nettest.Settle(t, "the silence to be asked about", func() bool { return strings.Contains(events(), "connected") })
		}
		conn.Write(row.says)
		if len(row.answer) > 1 {
			io.ReadFull(conn, make([]byte, len(row.answer)))
		}
		nettest.Settle(t, what+": "+row.want, func() bool { return strings.HasPrefix(events(), row.want) })
		conn.Close()
	}
}

func TestAFlowThatIsAllowedOrDeniedAtOnce(t *testing.T) {
	for action, want := range map[string]string{
		control.Allow: "begun: asked, allow: dialling, connected: open",
		control.Deny:  "begun: asked, deny: denied",
		"sesame":      "begun: asked, deny: denied",
	} {
		server := nettest.EchoTCP(t)
		r := newRig(t, 1500, func(control.FlowInfo) control.Message {
			return control.Message{Action: action, Dial: server.String()}
		})
		events := r.tracing()
		if action == control.Allow {
			conn, err := r.dial(nettest.OpenHost + ":80")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		} else {
			r.syn(nettest.OpenHost, 4000, 80)
		}
		nettest.Settle(t, want, func() bool { return events() == want })
	}
}

package gateway

import (
	"bytes"
	"encoding/json"
	"testing"

	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/link"
	"sbx.dev/netstack/internal/nettest"
)

func TestDamagedFramesAreSurvivedAndTheNetworkWorksAfterwards(t *testing.T) {
	r, o := wireRig(t)
	sent := 0
	nettest.Mutations(nettest.FrameCorpus(), 100_000, func(frame []byte) {
		if len(frame) <= link.MaxClaim {
			r.send(frame)
			sent++
		}
	})
	if sent < 90_000 {
		t.Fatalf("only %d frames were sent", sent)
	}
	r.fence(o)
	conn, err := r.dial(nettest.OpenHost + ":443")
	if err != nil {
		t.Fatalf("afterwards: %v", err)
	}
	conn.Close()
}

// What sbx says is trusted to be well meant and not to be well formed: damaged, it is an error or a message
// that carries out as nothing.
func TestDamagedMessagesAreErrorsOrHarmless(t *testing.T) {
	r := newRig(t, 1500, func(control.FlowInfo) control.Message { return control.Message{Action: control.Deny} })
	var corpus [][]byte
	for _, message := range []control.Message{
		{T: "verdict", ID: 1, Epoch: 1, Action: control.Allow, Dial: "127.0.0.1:1", TTLMs: 1000, WaitMs: 10},
		{T: "policy", Epoch: 2},
		{T: "host", Addresses: []string{"10.0.0.1", "fe80::1%eth0"}},
		{T: "kill", ID: 3},
		{T: "publish", Ref: 1, Bind: "127.0.0.1", Port: 0, GuestPort: 80, Proto: "udp"},
		{T: "unpublish", Ref: 1},
		{T: "ping", N: 9},
		{T: "config", V: 1, MTU: 1500, Guest: control.Endpoint(nettest.Guest), Gateway: control.Endpoint(nettest.Gateway)},
	} {
		body, _ := json.Marshal(message)
		corpus = append(corpus, body)
	}
	parsed := 0
	nettest.Mutations(corpus, 100_000, func(body []byte) {
		message, err := control.ReadMessage(bytes.NewReader(nettest.FrameMessage(string(body))))
		if err != nil || message.T == "publish" { // it would really listen
			return
		}
		parsed++
		r.g.carryOut(message)
		r.g.guard.DialTarget(message, control.FlowInfo{Proto: "tcp", Dst: r.l.Addrs.Guest4.String(), Dport: 80})
		link.ParseAddresses(message.Guest, message.Gateway)
	})
	if parsed == 0 {
		t.Error("nothing was parsed: the corpus is no good")
	}
}

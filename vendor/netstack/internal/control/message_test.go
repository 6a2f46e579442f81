package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"sbx.dev/netstack/internal/nettest"
)

func TestReadMessage(t *testing.T) {
	verdict := nettest.FrameMessage(`{"t":"verdict","id":7,"epoch":1,"action":"allow","future":{"x":1}}`)
	m, err := ReadMessage(bytes.NewReader(verdict))
	if err != nil || m.ID != 7 || m.Action != Allow {
		t.Fatalf("%+v %v", m, err)
	}
	for name, data := range map[string][]byte{
		"too long":    {0, 0x20, 0, 0},
		"empty":       {0, 0, 0, 0},
		"not JSON":    nettest.FrameMessage("nope"),
		"wrong type":  nettest.FrameMessage(`{"t":1}`),
		"cut":         verdict[:20],
		"wrong field": nettest.FrameMessage(`{"t":"verdict","id":-1}`),
	} {
		if _, err := ReadMessage(bytes.NewReader(data)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	nettest.Mutations([][]byte{verdict}, 20_000, func(data []byte) { ReadMessage(bytes.NewReader(data)) })
}

func FuzzControlMessage(f *testing.F) {
	for _, message := range []Message{
		{T: "verdict", ID: 1, Epoch: 1, Action: Allow, Dial: "127.0.0.1:1", TTLMs: 1000},
		{T: "host", Addresses: []string{"10.0.0.1", "fe80::1%eth0"}},
		{T: "publish", Ref: 1, Bind: "127.0.0.1", GuestPort: 80, Proto: "udp"},
		{T: "config", V: 1, MTU: 1500, Guest: Endpoint(nettest.Guest), Gateway: Endpoint(nettest.Gateway)},
	} {
		body, _ := json.Marshal(message)
		f.Add(nettest.FrameMessage(string(body)), []byte{0})
	}
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		whole, ended := ReadMessage(bytes.NewReader(stream))
		cut, endedCut := ReadMessage(&nettest.Pieces{Bytes: stream, Sizes: sizes})
		if !reflect.DeepEqual(whole, cut) || fmt.Sprint(ended) != fmt.Sprint(endedCut) {
			t.Fatalf("whole: %+v, %v\ncut:   %+v, %v", whole, ended, cut, endedCut)
		}
	})
}

package gateway

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"testing"

	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/flow"
	"sbx.dev/netstack/internal/nettest"
)

// lastWords is what an sbx reads that says this and no more, up to netstack's end.
func lastWords(t *testing.T, said string) (heard []told) {
	t.Helper()
	ours, theirs := nettest.StreamPair(t)
	g := &Gateway{control: control.New(ours), flows: flow.NewTable()}
	for range 3 {
		g.flows.Limit("rate")
	}
	if said == "" {
		theirs.(*net.UnixConn).CloseWrite()
	} else {
		g.control.Tell(control.Plain{T: "pong"})
		theirs.Write([]byte(said))
	}
	if err := g.Obey(bufio.NewReader(ours)); err != nil {
		t.Fatal(err)
	}
	ours.Close()
	for {
		var head [4]byte
		if _, err := io.ReadFull(theirs, head[:]); err != nil {
			return heard
		}
		body := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(theirs, body); err != nil {
			t.Fatal("the last word was cut")
		}
		var m told
		json.Unmarshal(body, &m)
		heard = append(heard, m)
	}
}

func TestWhatWasCountedIsToldBeforeAnEndThatIsAskedFor(t *testing.T) {
	heard := lastWords(t, string(nettest.FrameMessage(`{"t":"end"}`)))
	if len(heard) != 2 || heard[0].T != "pong" || heard[1].T != "limit" || heard[1].What != "rate" || heard[1].Count != 3 {
		t.Errorf("heard %+v", heard)
	}
}

func TestAnSbxThatHasGoneIsToldNothing(t *testing.T) {
	for _, m := range lastWords(t, "") {
		if m.T == "limit" {
			t.Errorf("heard %+v", m)
		}
	}
}

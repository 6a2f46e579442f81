package gateway

import (
	"encoding/json"
	"errors"
	"net"
	"slices"
	"testing"

	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/flow"
	"sbx.dev/netstack/internal/mux"
	"sbx.dev/netstack/internal/nettest"
)

func TestStreamsHaveLessCreditTheMoreThereAre(t *testing.T) {
	const data, credit = 2, 5 // types of frames: docs/control-protocol.md
	for _, row := range []struct {
		flows int64
		want  int
	}{{1, mux.Window}, {64, mux.Window}, {65, 64 << 10}, {512, 64 << 10}, {513, 16 << 10}, {8192, 16 << 10}} {
		ours, sbx := net.Pipe()
		m, ended := mux.New(ours), make(chan error, 1)
		go func() { ended <- m.Run() }()
		opened := make(chan *mux.Stream, 1)
		go func() { opened <- m.Open(1, control.FlowInfo{}, creditFor(row.flows)) }()
		_, _, opening := nettest.ReadMuxFrame(t, sbx)
		var said control.Opening
		if json.Unmarshal(opening, &said); said.Credit != row.want {
			t.Errorf("%d flows: %s", row.flows, opening)
		}
		s := <-opened
		go s.Write(make([]byte, row.want+1))
		for got := 0; got < row.want; {
			_, _, payload := nettest.ReadMuxFrame(t, sbx)
			got += len(payload)
		}
		sbx.Write(nettest.MuxFrame(credit, 1, []byte{0, 0, 0, 1}))
		if _, _, payload := nettest.ReadMuxFrame(t, sbx); len(payload) != 1 {
			t.Errorf("%d flows: %d bytes after the credit", row.flows, len(payload))
		}
		for sent := 0; sent < row.want; sent += 16 << 10 {
			sbx.Write(nettest.MuxFrame(data, 1, make([]byte, 16<<10)))
		}
		go sbx.Write(nettest.MuxFrame(data, 1, []byte{1}))
		if err := <-ended; !errors.Is(err, mux.ErrCredit) {
			t.Errorf("%d flows: %v for more than the credit", row.flows, err)
		}
	}
}

func TestTheMoreFlowsTheLessEachHolds(t *testing.T) {
	total := int64(0)
	for n := int64(1); n <= flow.DefaultFlows; n++ {
		size := windowFor(n)
		if size == 0 {
			size = bufferMax
		}
		if n > 1 && size > last(n-1) {
			t.Fatalf("flow %d may hold more than the one before", n)
		}
		total += size
	}
	if total > 256<<20 {
		t.Errorf("%d MiB if every flow stalls in one direction", total>>20)
	}
}

func last(n int64) int64 {
	if size := windowFor(n); size > 0 {
		return size
	}
	return bufferMax
}

func TestCopyBuffersAreFew(t *testing.T) {
	all := newBuffers()
	taken := func() (counts []int64) {
		for _, size := range append(all.large, all.small) {
			counts = append(counts, size.taken.Load())
		}
		return counts
	}
	before := taken()
	var buffers []*copyBuffer
	total := 0
	for range 4000 {
		b := all.take()
		b.fit(len(*b.buf))
		total += len(*b.buf)
		buffers = append(buffers, b)
	}
	if total > 64<<20 {
		t.Errorf("%d MiB for directions that stall", total>>20)
	}
	for _, b := range buffers {
		b.fit(1)
		if len(*b.buf) != smallBuffer {
			t.Fatalf("an idle direction holds %d bytes", len(*b.buf))
		}
		b.release()
	}
	if after := taken(); !slices.Equal(after, before) {
		t.Errorf("taken are %v, were %v", after, before)
	}
}

package mux

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/nettest"
)

// pair is netstack's mux with the other end in the test's hands.
func pair(t *testing.T) (*Mux, net.Conn, <-chan error) {
	t.Helper()
	ours, theirs := net.Pipe()
	m := New(ours)
	ended := make(chan error, 1)
	go func() { ended <- m.Run() }()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return m, theirs, ended
}

func TestMuxStreamCarriesBothDirections(t *testing.T) {
	m, sbx, _ := pair(t)
	streams := make(chan *Stream, 1)
	go func() { streams <- m.Open(9, control.FlowInfo{Proto: "tcp", Dst: "1.1.1.1", Dport: 443}, Window) }()
	kind, id, payload := nettest.ReadMuxFrame(t, sbx)
	if kind != frameOpen || id != 9 || !strings.Contains(string(payload), `"dport":443`) {
		t.Fatalf("open: %d %d %s", kind, id, payload)
	}
	s := <-streams
	go s.Write([]byte("hello"))
	if kind, _, payload = nettest.ReadMuxFrame(t, sbx); kind != frameData || string(payload) != "hello" {
		t.Fatalf("data: %d %s", kind, payload)
	}
	go s.CloseWrite()
	if kind, _, _ = nettest.ReadMuxFrame(t, sbx); kind != frameEOF {
		t.Fatalf("eof: %d", kind)
	}
	sbx.Write(nettest.MuxFrame(frameData, 9, []byte("world")))
	sbx.Write(nettest.MuxFrame(frameEOF, 9, nil))
	got, err := io.ReadAll(s)
	if err != nil || string(got) != "world" {
		t.Fatalf("%q %v", got, err)
	}
}

func TestMuxStreamWaitsForCredit(t *testing.T) {
	m, sbx, _ := pair(t)
	go m.Open(1, control.FlowInfo{}, Window)
	nettest.ReadMuxFrame(t, sbx)
	m.mu.Lock()
	s := m.streams[1].(*Stream)
	m.mu.Unlock()
	done := make(chan struct{})
	go func() { s.Write(make([]byte, Window+1)); close(done) }()
	for got := 0; got < Window; {
		_, _, payload := nettest.ReadMuxFrame(t, sbx)
		got += len(payload)
	}
	select {
	case <-done:
		t.Fatal("wrote past the credit")
	case <-time.After(50 * time.Millisecond):
	}
	sbx.Write(nettest.MuxFrame(frameCredit, 1, []byte{0, 0, 0, 1}))
	if _, _, payload := nettest.ReadMuxFrame(t, sbx); len(payload) != 1 {
		t.Fatalf("%d bytes after the credit", len(payload))
	}
	<-done
}

func TestMuxRefusesViolations(t *testing.T) {
	for name, frame := range map[string][]byte{
		"unknown type":   nettest.MuxFrame(9, 1, nil),
		"open from sbx":  nettest.MuxFrame(frameOpen, 1, nil),
		"too long":       {frameData, 0x02, 0, 0, 0, 0, 0, 1},
		"short credit":   nettest.MuxFrame(frameCredit, 1, []byte{1}),
		"credit overrun": nettest.MuxFrame(frameCredit, 1, []byte{0xff, 0, 0, 0}),
	} {
		m, sbx, ended := pair(t)
		go m.Open(1, control.FlowInfo{}, Window)
		nettest.ReadMuxFrame(t, sbx)
		go sbx.Write(frame)
		select {
		case err := <-ended:
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s: tolerated", name)
		}
	}
}

func TestQueuedDatagramsAreBoundedTogether(t *testing.T) {
	m, _, _ := pair(t) // sbx reads nothing
	gone := make(chan struct{})
	flows := make([]*Datagrams, 200)
	for i := range flows {
		flows[i] = &Datagrams{m: m, id: uint32(i), queue: make(chan []byte, maxQueuedDatagrams), gone: gone, done: make(chan struct{})}
		go flows[i].drain()
		for range maxQueuedDatagrams {
			flows[i].Send(make([]byte, 60_000))
		}
	}
	if queued := m.queued.Load(); queued > maxQueuedBytes {
		t.Errorf("%d bytes are queued", queued)
	}
	close(gone)
	m.conn.Close() // ends the sends that wait
	nettest.Settle(t, "all to be forgotten", func() bool { return m.queued.Load() == 0 })
	flows[0].Send(make([]byte, 1))
	if queued := m.queued.Load(); queued != 0 {
		t.Errorf("%d bytes came late", queued)
	}
}

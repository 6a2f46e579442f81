package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
)

// sourceTCP is a server of the test that sends this many bytes and ends its direction.
func sourceTCP(t testing.TB, bytes int) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.Write(make([]byte, bytes))
				conn.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, conn)
			}()
		}
	}()
	return l.Addr()
}

func (g *gateway) liveFlows() int {
	g.flows.mu.Lock()
	defer g.flows.mu.Unlock()
	return len(g.flows.live)
}

// Both would take minutes if the end of a connection were not noticed: whoever ends first.
func TestAFlowEndsWithItsConnection(t *testing.T) {
	r := newRig(t, 65520, allowTo(sourceTCP(t, 100_000)))
	before := streams.Load()
	for name, converse := range map[string]func(net.Conn, func() error){
		"the server ends first": func(conn net.Conn, closeWrite func() error) {
			io.Copy(io.Discard, conn)
			closeWrite()
		},
		"the guest ends first": func(conn net.Conn, closeWrite func() error) {
			closeWrite()
			io.Copy(io.Discard, conn)
		},
	} {
		for range 50 {
			conn, err := r.dial(openHost + ":80")
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(hang))
			converse(conn, conn.CloseWrite)
			conn.Close()
		}
		settle(t, name, func() bool { return r.g.liveFlows() == 0 })
	}
	if now := streams.Load(); now != before {
		t.Errorf("%d streams are counted, %d were", now, before)
	}
}

func TestAGuestThatStopsReadingIsResetInTheEnd(t *testing.T) {
	r := newRig(t, 1500, allowTo(sourceTCP(t, 0)))
	never, gone := make(chan struct{}), make(chan struct{})
	close(gone)
	for name, linger := range map[string]func(*guestConn){
		"killed":     func(c *guestConn) { c.linger(never, gone, time.Hour) },
		"impatience": func(c *guestConn) { c.linger(never, never, time.Millisecond) },
	} {
		l, err := gonet.ListenTCP(r.guest, full(at(testGuest.IP4)), protocolOf(r.l.addrs.guest4))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		conn, err := r.g.connectGuest(ctx, netip.AddrPortFrom(r.l.addrs.guest4, guestPort))
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := l.Accept()
		l.Close()
		if err != nil {
			t.Fatal(err)
		}
		linger(conn)
		theirs.SetDeadline(time.Now().Add(hang))
		if n, err := theirs.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: the guest read %d, %v", name, n, err)
		}
		theirs.Close()
	}
}

func TestTheMoreFlowsTheLessEachHolds(t *testing.T) {
	total := int64(0)
	for n := int64(1); n <= defaultFlows; n++ {
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
	taken := func() (counts []int64) {
		for _, size := range append(largeBuffers, smallBuffers) {
			counts = append(counts, size.taken.Load())
		}
		return counts
	}
	before := taken()
	var buffers []*copyBuffer
	total := 0
	for range 4000 {
		b := newCopyBuffer()
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

func TestQueuedDatagramsAreBoundedTogether(t *testing.T) {
	m, _, _ := muxPair(t) // sbx reads nothing
	gone := make(chan struct{})
	flows := make([]*muxDatagrams, 200)
	for i := range flows {
		flows[i] = &muxDatagrams{m: m, id: uint32(i), queue: make(chan []byte, maxQueuedDatagrams), done: make(chan struct{})}
		go flows[i].drain(&flow{gone: gone})
		for range maxQueuedDatagrams {
			flows[i].send(make([]byte, 60_000))
		}
	}
	if queued := m.queued.Load(); queued > maxQueuedBytes {
		t.Errorf("%d bytes are queued", queued)
	}
	close(gone)
	m.conn.Close() // ends the sends that wait
	settle(t, "all to be forgotten", func() bool { return m.queued.Load() == 0 })
	flows[0].send(make([]byte, 1))
	if queued := m.queued.Load(); queued != 0 {
		t.Errorf("%d bytes came late", queued)
	}
}

func TestAThousandConnectionsLiveAtOnce(t *testing.T) {
	r := newRig(t, 65520, allowTo(echoTCP(t)))
	var all sync.WaitGroup
	conns := make([]net.Conn, 1000)
	for i := range conns {
		all.Go(func() {
			conn, err := r.dial(openHost + ":7")
			if err != nil {
				t.Error(err)
				return
			}
			conns[i] = conn
		})
	}
	all.Wait()
	for i, conn := range conns {
		all.Go(func() {
			if conn == nil {
				return
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(hang))
			say := fmt.Appendf(nil, "connection %d", i)
			conn.Write(say)
			heard := make([]byte, len(say))
			if _, err := io.ReadFull(conn, heard); err != nil || string(heard) != string(say) {
				t.Errorf("%q: %q, %v", say, heard, err)
			}
		})
	}
	all.Wait()
}

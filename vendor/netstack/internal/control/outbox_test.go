package control

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"sbx.dev/netstack/internal/nettest"
)

// writes is the sbx's end of a channel on which each write of netstack's is one read.
type writes struct {
	net.Conn
	seen chan string
	hold chan struct{} // a write waits for it, when it is not nil
}

func (w *writes) Write(p []byte) (int, error) {
	if w.hold != nil {
		<-w.hold
	}
	w.seen <- string(p)
	return len(p), nil
}

func (w *writes) SetWriteDeadline(time.Time) error { return nil }

// texts takes a write apart into the messages in it.
func texts(t *testing.T, write string) []string {
	t.Helper()
	var found []string
	for in := strings.NewReader(write); in.Len() > 0; {
		var head [4]byte
		io.ReadFull(in, head[:])
		body := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(in, body); err != nil {
			t.Fatalf("a message was cut: %q", write)
		}
		found = append(found, string(body))
	}
	return found
}

func TestANoticeLeavesBehindTheNextQuestionInOrder(t *testing.T) {
	conn := &writes{seen: make(chan string, 10)}
	o := newOutbox(conn, func(why string) { t.Error(why) })
	o.delay.Stop()
	o.waiting = true // as if the delay had begun already, and took for ever
	o.soon("first")
	o.soon("second")
	o.ask("question")
	if got := strings.Join(texts(t, <-conn.seen), " "); got != `"question" "first" "second"` {
		t.Fatalf("one write brought %s", got)
	}
}

func TestANoticeAloneLeavesAfterTheDelay(t *testing.T) {
	conn := &writes{seen: make(chan string, 10)}
	o := newOutbox(conn, func(why string) { t.Error(why) })
	for _, notice := range []string{`"one"`, `"another"`} {
		o.soon(strings.Trim(notice, `"`))
		if got := texts(t, <-conn.seen); len(got) != 1 || got[0] != notice {
			t.Fatalf("heard %q", got)
		}
	}
}

func TestMessagesOfManyGoroutinesArriveWhole(t *testing.T) {
	conn := &writes{seen: make(chan string, 10_000)}
	o := newOutbox(conn, func(why string) { t.Error(why) })
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for range 100 {
				o.soon("notice")
				o.ask("question")
			}
		})
	}
	all.Wait()
	o.flush()
	close(conn.seen)
	count := 0
	for write := range conn.seen {
		count += len(texts(t, write))
	}
	if count != 10_000 {
		t.Fatalf("%d messages arrived", count)
	}
}

func TestAnSbxThatReadsNothingMoreIsGivenUp(t *testing.T) {
	conn := &writes{seen: make(chan string, 1), hold: make(chan struct{})}
	why := make(chan string, 1)
	o := newOutbox(conn, func(text string) { why <- text; runtime.Goexit() })
	go o.now("stuck")
	go func() {
		for large := strings.Repeat("x", 1<<20); ; {
			o.soon(large)
		}
	}()
	if got := <-why; got != "sbx does not read its control channel" {
		t.Fatalf("given up because %q", got)
	}
	if held := len(o.held); held > outboxMax {
		t.Fatalf("%d bytes are held", held)
	}
	close(conn.hold)
}

func TestAnSbxThatHasGoneIsNotWrittenTo(t *testing.T) {
	here, there := nettest.StreamPair(t)
	there.Close()
	o := newOutbox(here, func(why string) { t.Error(why) })
	o.now("question")
	o.now("question")
	if !o.writing || bytes.Contains(o.spare, []byte("question")) {
		t.Fatal("it goes on")
	}
	o.drain()
}

func TestADrainWaitsForTheWriter(t *testing.T) {
	conn := &writes{seen: make(chan string, 10), hold: make(chan struct{})}
	o := newOutbox(conn, func(why string) { t.Error(why) })
	go o.now("first")
	nettest.Settle(t, "the writer", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.writing
	})
	o.soon("last")
	drained := make(chan struct{})
	go func() { o.drain(); close(drained) }()
	select {
	case <-drained:
		t.Fatal("drained while somebody writes")
	case <-time.After(20 * time.Millisecond):
	}
	close(conn.hold)
	<-drained
	if got := <-conn.seen + <-conn.seen; len(texts(t, got)) != 2 {
		t.Errorf("written was %q", got)
	}
}

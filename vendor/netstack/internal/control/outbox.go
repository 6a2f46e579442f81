package control

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// noticeDelay is how long what sbx only has to know may wait for company. Each write wakes sbx up, on a
	// processor that a connection in the making has better use for.
	noticeDelay = 2 * time.Millisecond
	// outboxMax is how much may wait for sbx to read, in bytes; more means it hangs.
	outboxMax = 8 << 20
)

// outboxFull is when the guest has to wait for sbx: what it opens then is dropped like on a full wire, and tried
// again.
const outboxFull = outboxMax / 4

// outbox writes messages to sbx, several in one piece where it can: questions about new flows first, for which
// the guest waits, and everything else in the order in which it was given.
//
//	idle ──notice──► waiting ──delay──► writing ──nothing left──► idle
//	  └──── now ────────┴────── now ───────▲ └──sbx has gone──► silent
//
// Whoever sends now writes it, and what was waiting, without a hop to another goroutine; what comes
// meanwhile is taken along by that writer.
type outbox struct {
	conn net.Conn
	fail func(why string) // does not return

	mu      sync.Mutex
	first   []byte
	held    []byte
	spare   []byte
	waiting bool
	writing bool
	silent  bool
	rest    *sync.Cond // nobody writes any more
	delay   *time.Timer
}

func newOutbox(conn net.Conn, fail func(string)) *outbox {
	o := &outbox{conn: conn, fail: fail}
	o.rest = sync.NewCond(&o.mu)
	o.delay = time.AfterFunc(time.Hour, o.flush)
	o.delay.Stop()
	return o
}

// ask sends the question about a new flow without delay, before anything else. It waits for sbx to read when
// its socket is full, at most as long as sbx may be silent.
func (o *outbox) ask(question any) {
	o.add(&o.first, question)
	o.flush()
}

// now sends a message without delay, and waits as ask does.
func (o *outbox) now(message any) {
	o.add(&o.held, message)
	o.flush()
}

// soon sends a message with the next one that is sent without delay, or in a moment. It never waits.
func (o *outbox) soon(message any) {
	if o.add(&o.held, message) {
		o.delay.Reset(noticeDelay)
	}
}

// full tells whether sbx is far behind.
func (o *outbox) full() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.first)+len(o.held) > outboxFull
}

// add queues a message; true asks for the delay to begin.
func (o *outbox) add(to *[]byte, message any) bool {
	body, err := json.Marshal(message)
	if err != nil {
		o.fail("cannot encode a control message: " + err.Error())
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.first)+len(o.held)+len(body) > outboxMax {
		o.fail("sbx does not read its control channel")
	}
	*to = binary.BigEndian.AppendUint32(*to, uint32(len(body)))
	*to = append(*to, body...)
	begin := !o.waiting && !o.writing
	o.waiting = o.waiting || begin
	return begin
}

// flush writes until nothing is held, unless somebody already does.
func (o *outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = false
	if o.writing {
		return
	}
	o.writing = true
	for len(o.first)+len(o.held) > 0 {
		out := append(append(o.spare[:0], o.first...), o.held...)
		o.first, o.held = o.first[:0], o.held[:0]
		o.mu.Unlock()
		o.conn.SetWriteDeadline(time.Now().Add(Silence))
		_, err := o.conn.Write(out)
		o.mu.Lock()
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
			o.first, o.held = nil, nil // nobody is left to write to; the reader meets the end, and with it everything ends
			o.silent = true
			o.rest.Broadcast()
			return
		}
		if err != nil {
			o.fail("control channel: " + err.Error())
		}
		o.spare = out
	}
	o.writing = false
	o.rest.Broadcast()
}

// drain returns when all that was sent before is written, or sbx has gone.
func (o *outbox) drain() {
	o.flush()
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.writing && !o.silent {
		o.rest.Wait()
	}
}

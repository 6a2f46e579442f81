package main

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

// outbox writes messages to sbx, in the order in which they were given, several in one piece where it can.
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
	held    []byte
	spare   []byte
	waiting bool
	writing bool
	delay   *time.Timer
}

func newOutbox(conn net.Conn, fail func(string)) *outbox {
	o := &outbox{conn: conn, fail: fail}
	o.delay = time.AfterFunc(time.Hour, o.flush)
	o.delay.Stop()
	return o
}

// now sends a message without delay. It waits for sbx to read when its socket is full, at most as long as
// sbx may be silent.
func (o *outbox) now(message any) {
	o.add(message)
	o.flush()
}

// soon sends a message with the next one that is sent now, or in a moment. It never waits.
func (o *outbox) soon(message any) {
	if o.add(message) {
		o.delay.Reset(noticeDelay)
	}
}

// add queues a message; true asks for the delay to begin.
func (o *outbox) add(message any) bool {
	body, err := json.Marshal(message)
	if err != nil {
		o.fail("cannot encode a control message: " + err.Error())
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.held)+len(body) > outboxMax {
		o.fail("sbx does not read its control channel")
	}
	o.held = binary.BigEndian.AppendUint32(o.held, uint32(len(body)))
	o.held = append(o.held, body...)
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
	for len(o.held) > 0 {
		out := o.held
		o.held = o.spare[:0]
		o.mu.Unlock()
		o.conn.SetWriteDeadline(time.Now().Add(silence))
		_, err := o.conn.Write(out)
		o.mu.Lock()
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
			o.held = nil // nobody is left to write to; the reader meets the end, and with it everything ends
			return
		}
		if err != nil {
			o.fail("control channel: " + err.Error())
		}
		o.spare = out
	}
	o.writing = false
}

package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxMessage is the largest control message either side may send.
	maxMessage = 1 << 20
	// silence is how long sbx may say nothing; it pings every second.
	silence = 10 * time.Second
	// silenceSteps cut it into waits that are counted: a process that was not let run for as long has not
	// listened either.
	silenceSteps = 10
	// attention is how long after a word of sbx its verdicts are repeated without asking. One that hangs does not
	// know what it should forbid by now; one that lives says something with every answer.
	attention = 100 * time.Millisecond
	// lastWords is how long saying why it ends may take.
	lastWords = 2 * time.Second
)

var (
	errNoVerdict = errors.New("no verdict in time")
	errPending   = errors.New("too many flows waited for a verdict")
)

// control is the channel to sbx. It owns the questions that wait for an answer.
type control struct {
	conn    net.Conn
	out     *outbox
	epoch   atomic.Uint64
	nextID  atomic.Uint64
	timeout time.Duration
	heard   atomic.Int64 // when sbx said something last, since started

	// places bounds the questions that are open at once; others wait for a place in turn.
	places chan struct{}

	mu      sync.Mutex
	waiting map[uint64]chan fromSbx
}

func newControl(conn net.Conn) *control {
	return &control{
		conn:    conn,
		out:     newOutbox(conn, die),
		timeout: 10 * time.Second,
		places:  make(chan struct{}, defaultPending),
		waiting: map[uint64]chan fromSbx{},
	}
}

// send is for what sbx has to do something about.
func (c *control) send(message any) { c.out.now(message) }

// tell is for what sbx only has to know; it never waits.
func (c *control) tell(message any) { c.out.soon(message) }

// started is what times within the process are counted from.
var started = time.Now()

func (c *control) hear() { c.heard.Store(int64(time.Since(started))) }

// attended tells whether sbx is there to know of what is repeated for it.
func (c *control) attended() bool {
	return time.Since(started)-time.Duration(c.heard.Load()) < attention
}

// await waits for the begin of a message, and gives the rest of it as long again.
func (c *control) await(in *bufio.Reader) error {
	for step := 1; in.Buffered() == 0; step++ {
		c.conn.SetReadDeadline(time.Now().Add(silence / silenceSteps))
		if _, err := in.Peek(1); err != nil && (step == silenceSteps || !isTimeout(err)) {
			return err
		}
	}
	return c.conn.SetReadDeadline(time.Now().Add(silence))
}

// next waits for the next message.
func (c *control) next(in *bufio.Reader) (fromSbx, error) {
	if err := c.await(in); err != nil {
		return fromSbx{}, err
	}
	message, err := readMessage(in)
	if err == nil {
		c.hear()
	}
	return message, err
}

// readMessage reads one length-prefixed JSON message.
func readMessage(r io.Reader) (fromSbx, error) {
	var message fromSbx
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return message, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxMessage {
		return message, fmt.Errorf("control message of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return message, err
	}
	if err := json.Unmarshal(body, &message); err != nil {
		return message, fmt.Errorf("control message: %w", err)
	}
	return message, nil
}

// answer hands a verdict to whoever waits for it. Late ones are for flows that were denied already.
func (c *control) answer(verdict fromSbx) {
	c.mu.Lock()
	waiter := c.waiting[verdict.ID]
	delete(c.waiting, verdict.ID)
	c.mu.Unlock()
	if waiter != nil {
		waiter <- verdict
	}
}

// ask sends a question and waits for the verdict to its id. Any error means deny.
func (c *control) ask(id uint64, question any, giveUp <-chan struct{}) (fromSbx, error) {
	timer := time.NewTimer(c.timeout)
	defer timer.Stop()
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-timer.C:
		return fromSbx{}, errPending
	case <-giveUp:
		return fromSbx{}, net.ErrClosed
	}
	waiter := make(chan fromSbx, 1)
	c.mu.Lock()
	c.waiting[id] = waiter
	c.mu.Unlock()
	if _, opening := question.(flowMessage); opening {
		c.out.ask(question)
	} else {
		c.out.now(question)
	}
	var err error
	select {
	case verdict := <-waiter:
		return verdict, nil
	case <-timer.C:
		err = errNoVerdict
	case <-giveUp:
		err = net.ErrClosed
	}
	c.mu.Lock()
	delete(c.waiting, id)
	c.mu.Unlock()
	return fromSbx{}, err
}

// judge asks about a new flow, once more when the policy changed while it waited.
func (c *control) judge(id uint64, info flowInfo, giveUp <-chan struct{}) (fromSbx, error) {
	for range 3 {
		epoch := c.epoch.Load()
		verdict, err := c.ask(id, flowMessage{T: "flow", ID: id, Epoch: epoch, flowInfo: info}, giveUp)
		if err != nil {
			return verdict, err
		}
		if verdict.Epoch == c.epoch.Load() {
			return verdict, nil
		}
	}
	return fromSbx{}, errNoVerdict
}

// die ends the process after telling sbx why: the one way out when an invariant is broken.
func die(message string) {
	// Whoever reads neither the channel nor stderr must not keep the process.
	time.AfterFunc(lastWords, func() { os.Exit(1) })
	if active != nil {
		body, _ := json.Marshal(fatalMessage{T: "fatal", Message: message})
		frame := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
		active.conn.SetWriteDeadline(time.Now().Add(lastWords / 2))
		active.conn.Write(append(frame, body...))
	}
	fmt.Fprintln(os.Stderr, "netstack:", message)
	os.Exit(1)
}

// active is the channel that die reports on.
var active *control

// guarded runs f; a panic caused by what a guest sent ends the process instead of leaving a stack in
// an unknown state.
func guarded(f func()) {
	defer func() {
		if r := recover(); r != nil {
			die(fmt.Sprintf("internal error: %v", r))
		}
	}()
	f()
}

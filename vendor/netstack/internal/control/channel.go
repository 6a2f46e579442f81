// Package control is the channel on which sbx is asked and answers: docs/control-protocol.md.
package control

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
	"syscall"
	"time"
)

const (
	// maxMessage is the largest control message either side may send.
	maxMessage = 1 << 20
	// Silence is how long sbx may say nothing; it pings every second.
	Silence = 10 * time.Second
	// SilenceSteps cut it into waits that are counted: a process that was not let run for as long has not
	// listened either.
	SilenceSteps = 10
	// attention is how long after a word of sbx its verdicts are repeated without asking. One that hangs does not
	// know what it should forbid by now; one that lives says something with every answer.
	attention = 100 * time.Millisecond
	// MaxPending is how many questions may be open at once.
	MaxPending = 1024
	// lastWords is how long saying why it ends may take.
	lastWords = 2 * time.Second
)

var (
	errNoVerdict = errors.New("no verdict in time")
	// ErrPending is that of a question that found no place in time.
	ErrPending = errors.New("too many flows waited for a verdict")
)

// Channel is the channel to sbx. It owns the questions that wait for an answer.
type Channel struct {
	// Epoch is the generation of the policy that is in force.
	Epoch atomic.Uint64
	// NextID numbers flows, from 1.
	NextID atomic.Uint64
	// Timeout is how long a verdict is waited for.
	Timeout time.Duration

	conn  net.Conn
	out   *outbox
	began time.Time
	heard atomic.Int64 // when sbx said something last, since it began

	// places bounds the questions that are open at once; others wait for a place in turn.
	places chan struct{}

	mu      sync.Mutex
	waiting map[uint64]chan Message
}

// New is the channel on a socket; nothing is sent or read yet.
func New(conn net.Conn) *Channel {
	c := &Channel{
		conn:    conn,
		Timeout: 10 * time.Second,
		began:   time.Now(),
		places:  make(chan struct{}, MaxPending),
		waiting: map[uint64]chan Message{},
	}
	c.out = newOutbox(conn, c.Fail)
	return c
}

// Behind tells whether sbx is far behind in reading.
func (c *Channel) Behind() bool { return c.out.full() }

// Send is for what sbx has to do something about.
func (c *Channel) Send(message any) { c.out.now(message) }

// Tell is for what sbx only has to know; it never waits.
func (c *Channel) Tell(message any) { c.out.soon(message) }

// Drain returns when sbx has all that it was told, or is gone.
func (c *Channel) Drain() { c.out.drain() }

func (c *Channel) hear() { c.heard.Store(int64(time.Since(c.began))) }

// Attended tells whether sbx is there to know of what is repeated for it.
func (c *Channel) Attended() bool {
	return time.Since(c.began)-time.Duration(c.heard.Load()) < attention
}

// await waits for the begin of a message, and gives the rest of it as long again.
func (c *Channel) await(in *bufio.Reader) error {
	for step := 1; in.Buffered() == 0; step++ {
		c.conn.SetReadDeadline(time.Now().Add(Silence / SilenceSteps))
		if _, err := in.Peek(1); err != nil && (step == SilenceSteps || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return err
		}
	}
	return c.conn.SetReadDeadline(time.Now().Add(Silence))
}

// Next waits for the next message.
func (c *Channel) Next(in *bufio.Reader) (Message, error) {
	if err := c.await(in); err != nil {
		return Message{}, err
	}
	message, err := ReadMessage(in)
	if err == nil {
		c.hear()
	}
	return message, err
}

// Answer hands what sbx says of a flow to whoever waits for it. Late ones are for flows that are over already.
func (c *Channel) Answer(verdict Message) {
	c.mu.Lock()
	waiter := c.waiting[verdict.ID]
	delete(c.waiting, verdict.ID)
	c.mu.Unlock()
	if waiter != nil {
		waiter <- verdict
	}
}

// Ask sends a question and waits for the answer to its id. Any error means deny.
func (c *Channel) Ask(id uint64, question any, giveUp <-chan struct{}) (Message, error) {
	timer := time.NewTimer(c.Timeout)
	defer timer.Stop()
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-timer.C:
		return Message{}, ErrPending
	case <-giveUp:
		return Message{}, net.ErrClosed
	}
	return c.Exchange(id, question, timer.C, giveUp)
}

// Exchange is Ask for a question that takes no place from those about new flows.
func (c *Channel) Exchange(id uint64, question any, late <-chan time.Time, giveUp <-chan struct{}) (Message, error) {
	waiter := make(chan Message, 1)
	c.mu.Lock()
	c.waiting[id] = waiter
	c.mu.Unlock()
	if _, opening := question.(Flow); opening {
		c.out.ask(question)
	} else {
		c.out.now(question)
	}
	var err error
	select {
	case verdict := <-waiter:
		return verdict, nil
	case <-late:
		err = errNoVerdict
	case <-giveUp:
		err = net.ErrClosed
	}
	c.mu.Lock()
	delete(c.waiting, id)
	c.mu.Unlock()
	return Message{}, err
}

// Judge asks about a new flow, once more when the policy changed while it waited.
func (c *Channel) Judge(id uint64, info FlowInfo, giveUp <-chan struct{}) (Message, error) {
	for range 3 {
		epoch := c.Epoch.Load()
		verdict, err := c.Ask(id, Flow{T: "flow", ID: id, Epoch: epoch, FlowInfo: info}, giveUp)
		if err != nil {
			return verdict, err
		}
		if verdict.Epoch == c.Epoch.Load() {
			return verdict, nil
		}
	}
	return Message{}, errNoVerdict
}

// Fail ends the process after telling sbx why: the one way out when an invariant is broken.
func (c *Channel) Fail(message string) {
	// Whoever reads neither the channel nor stderr must not keep the process.
	time.AfterFunc(lastWords, func() { os.Exit(1) })
	body, _ := json.Marshal(fatalMessage{T: "fatal", Message: message})
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	c.conn.SetWriteDeadline(time.Now().Add(lastWords / 2))
	c.conn.Write(append(frame, body...))
	fmt.Fprintln(os.Stderr, "netstack:", message)
	os.Exit(1)
}

// Guard runs f; a panic caused by what a guest sent ends the process instead of leaving a stack in
// an unknown state.
func (c *Channel) Guard(f func()) {
	defer func() {
		if r := recover(); r != nil {
			c.Fail(fmt.Sprintf("internal error: %v", r))
		}
	}()
	f()
}

// IsEnd tells whether the other side has gone; one that had not read everything leaves a reset.
func IsEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

// Package mux is the flows channel: every flow that sbx serves itself, over one socket.
package mux

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"sbx.dev/netstack/internal/control"
)

// The flows channel carries every redirected flow over one socket. A frame is
//
//	u8 type | u24 payload length | u32 flow id | payload
const (
	frameOpen   = 1
	frameData   = 2
	frameEOF    = 3
	frameReset  = 4
	frameCredit = 5

	headerSize = 8
	// maxPayload is the largest DATA frame either side sends.
	maxPayload = 64 << 10
	// Window is the most credit a direction of a stream can have; OPEN says how much it starts with.
	Window = 256 << 10
	// maxQueuedDatagrams bounds what a datagram flow holds for a slow sbx.
	maxQueuedDatagrams = 64
	// maxQueuedBytes bounds what all datagram flows hold together.
	maxQueuedBytes = 8 << 20
)

// Mux is netstack's end of the flows channel.
type Mux struct {
	conn net.Conn
	wmu  sync.Mutex
	w    *bufio.Writer

	queued atomic.Int64 // bytes of datagrams

	mu      sync.Mutex
	streams map[uint32]receiver
}

// receiver takes what sbx sends for one flow.
type receiver interface {
	data(payload []byte) error
	eof()
	reset()
	credit(n uint32) error
}

// New is the channel on a socket; Run reads it.
func New(conn net.Conn) *Mux {
	return &Mux{conn: conn, w: bufio.NewWriterSize(conn, 128<<10), streams: map[uint32]receiver{}}
}

func (m *Mux) send(kind byte, id uint32, payload []byte) error {
	var head [headerSize]byte
	binary.BigEndian.PutUint32(head[:], uint32(kind)<<24|uint32(len(payload)))
	binary.BigEndian.PutUint32(head[4:], id)
	m.wmu.Lock()
	defer m.wmu.Unlock()
	m.w.Write(head[:])
	m.w.Write(payload)
	return m.w.Flush()
}

func (m *Mux) sendCredit(id uint32, n int) {
	m.send(frameCredit, id, binary.BigEndian.AppendUint32(nil, uint32(n)))
}

// register opens a flow at sbx; credit is nothing for datagrams.
func (m *Mux) register(id uint64, info control.FlowInfo, r receiver, credit int) {
	m.mu.Lock()
	m.streams[uint32(id)] = r
	m.mu.Unlock()
	opening, _ := json.Marshal(control.Opening{Flow: control.Flow{T: "flow", ID: id, FlowInfo: info}, Credit: credit})
	m.send(frameOpen, uint32(id), opening)
}

func (m *Mux) release(id uint32) {
	m.mu.Lock()
	delete(m.streams, id)
	m.mu.Unlock()
}

// Run reads frames until the channel ends; any violation is an error.
func (m *Mux) Run() error {
	r := bufio.NewReaderSize(m.conn, 256<<10)
	payload := make([]byte, maxPayload)
	for {
		var head [headerSize]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		word := binary.BigEndian.Uint32(head[:])
		kind, size, id := byte(word>>24), int(word&0xffffff), binary.BigEndian.Uint32(head[4:])
		if size > maxPayload {
			return fmt.Errorf("mux frame of %d bytes", size)
		}
		if _, err := io.ReadFull(r, payload[:size]); err != nil {
			return err
		}
		if err := m.deliver(kind, id, payload[:size]); err != nil {
			return err
		}
	}
}

func (m *Mux) deliver(kind byte, id uint32, payload []byte) error {
	m.mu.Lock()
	receiver := m.streams[id]
	m.mu.Unlock()
	if kind < frameData || kind > frameCredit {
		return fmt.Errorf("mux frame of type %d", kind)
	}
	if (kind == frameEOF || kind == frameReset) && len(payload) > 0 {
		return fmt.Errorf("mux frame of type %d with %d bytes", kind, len(payload))
	}
	if receiver == nil {
		return nil // crossed with our own end of the flow
	}
	switch kind {
	case frameData:
		return receiver.data(payload)
	case frameEOF:
		receiver.eof()
	case frameReset:
		receiver.reset()
	case frameCredit:
		if len(payload) != 4 {
			return fmt.Errorf("mux credit of %d bytes", len(payload))
		}
		return receiver.credit(binary.BigEndian.Uint32(payload))
	}
	return nil
}

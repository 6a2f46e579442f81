package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// The flows channel carries every redirected flow over one socket. A frame is
//
//	u8 type | u24 payload length | u32 flow id | payload
const (
	muxOpen   = 1
	muxData   = 2
	muxEOF    = 3
	muxReset  = 4
	muxCredit = 5

	muxHeader = 8
	// maxMuxPayload is the largest DATA frame either side sends.
	maxMuxPayload = 64 << 10
	// muxWindow is the most credit a direction of a stream can have; OPEN says how much it starts with.
	muxWindow = 256 << 10
	// maxQueuedDatagrams bounds what a datagram flow holds for a slow sbx.
	maxQueuedDatagrams = 64
	// maxQueuedBytes bounds what all datagram flows hold together.
	maxQueuedBytes = 8 << 20
)

// mux is netstack's end of the flows channel.
type mux struct {
	conn net.Conn
	wmu  sync.Mutex
	w    *bufio.Writer

	queued atomic.Int64 // bytes of datagrams

	mu      sync.Mutex
	streams map[uint32]muxReceiver
}

// muxReceiver takes what sbx sends for one flow.
type muxReceiver interface {
	data(payload []byte) error
	eof()
	reset()
	credit(n uint32) error
}

func newMux(conn net.Conn) *mux {
	return &mux{conn: conn, w: bufio.NewWriterSize(conn, 128<<10), streams: map[uint32]muxReceiver{}}
}

func (m *mux) send(kind byte, id uint32, payload []byte) error {
	var head [muxHeader]byte
	binary.BigEndian.PutUint32(head[:], uint32(kind)<<24|uint32(len(payload)))
	binary.BigEndian.PutUint32(head[4:], id)
	m.wmu.Lock()
	defer m.wmu.Unlock()
	m.w.Write(head[:])
	m.w.Write(payload)
	return m.w.Flush()
}

func (m *mux) sendCredit(id uint32, n int) {
	m.send(muxCredit, id, binary.BigEndian.AppendUint32(nil, uint32(n)))
}

// register opens a flow at sbx; credit is nothing for datagrams.
func (m *mux) register(f *flow, r muxReceiver, credit int) {
	m.mu.Lock()
	m.streams[uint32(f.id)] = r
	m.mu.Unlock()
	flow := flowMessage{T: "flow", ID: f.id, flowInfo: f.info}
	opening, _ := json.Marshal(openMessage{flow, credit})
	m.send(muxOpen, uint32(f.id), opening)
}

func (m *mux) release(id uint32) {
	m.mu.Lock()
	delete(m.streams, id)
	m.mu.Unlock()
}

// run reads frames until the channel ends; any violation is an error.
func (m *mux) run() error {
	r := bufio.NewReaderSize(m.conn, 256<<10)
	payload := make([]byte, maxMuxPayload)
	for {
		var head [muxHeader]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		word := binary.BigEndian.Uint32(head[:])
		kind, size, id := byte(word>>24), int(word&0xffffff), binary.BigEndian.Uint32(head[4:])
		if size > maxMuxPayload {
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

func (m *mux) deliver(kind byte, id uint32, payload []byte) error {
	m.mu.Lock()
	receiver := m.streams[id]
	m.mu.Unlock()
	if kind < muxData || kind > muxCredit {
		return fmt.Errorf("mux frame of type %d", kind)
	}
	if receiver == nil {
		return nil // crossed with our own end of the flow
	}
	switch kind {
	case muxData:
		return receiver.data(payload)
	case muxEOF:
		receiver.eof()
	case muxReset:
		receiver.reset()
	case muxCredit:
		if len(payload) != 4 {
			return fmt.Errorf("mux credit of %d bytes", len(payload))
		}
		return receiver.credit(binary.BigEndian.Uint32(payload))
	}
	return nil
}

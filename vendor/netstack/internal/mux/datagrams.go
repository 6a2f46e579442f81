package mux

import (
	"sync"

	"sbx.dev/netstack/internal/control"
)

// DatagramSink is what sbx can do with a datagram flow that it serves.
type DatagramSink struct {
	// Deliver sends the guest a datagram.
	Deliver func(payload []byte)
	// Refused says that nobody listens where the guest's latest datagram went.
	Refused func()
	// Ended says that the flow is over for sbx.
	Ended func()
}

// Datagrams is a redirected UDP flow: every DATA frame is one datagram, in either direction.
type Datagrams struct {
	m     *Mux
	id    uint32
	sink  DatagramSink
	queue chan []byte
	gone  <-chan struct{} // the flow is over
	done  chan struct{}

	mu   sync.Mutex
	over bool
}

// OpenDatagrams hands a flow to sbx until `gone` says that it is over.
func (m *Mux) OpenDatagrams(id uint64, info control.FlowInfo, gone <-chan struct{}, sink DatagramSink) *Datagrams {
	d := &Datagrams{
		m: m, id: uint32(id), sink: sink, gone: gone,
		queue: make(chan []byte, maxQueuedDatagrams), done: make(chan struct{}),
	}
	m.register(id, info, d, 0)
	go d.drain()
	return d
}

func (d *Datagrams) drain() {
	defer d.discard()
	for {
		select {
		case payload := <-d.queue:
			d.m.send(frameData, d.id, payload)
			d.m.queued.Add(-int64(len(payload)))
		case <-d.done:
			return
		case <-d.gone:
			return
		}
	}
}

// Send queues a datagram for sbx, or drops it when sbx is behind.
func (d *Datagrams) Send(payload []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	size := int64(len(payload))
	if d.over {
		return
	}
	if d.m.queued.Add(size) > maxQueuedBytes {
		d.m.queued.Add(-size)
		return
	}
	select {
	case d.queue <- payload:
	default:
		d.m.queued.Add(-size)
	}
}

// discard forgets what was queued for a flow that is over, and what comes late.
func (d *Datagrams) discard() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	for {
		select {
		case payload := <-d.queue:
			d.m.queued.Add(-int64(len(payload)))
		default:
			return
		}
	}
}

func (d *Datagrams) data(payload []byte) error {
	d.sink.Deliver(payload)
	return nil
}

func (d *Datagrams) eof()                { d.sink.Refused() }
func (d *Datagrams) reset()              { d.sink.Ended() }
func (d *Datagrams) credit(uint32) error { return nil }

// Close ends the flow on both sides.
func (d *Datagrams) Close() {
	select {
	case <-d.done:
		return
	default:
	}
	close(d.done)
	d.m.release(d.id)
	go d.m.send(frameReset, d.id, nil)
}

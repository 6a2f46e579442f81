package main

import "sync"

// muxDatagrams is a redirected UDP flow: every DATA frame is one datagram, in either direction.
type muxDatagrams struct {
	m       *mux
	id      uint32
	deliver func([]byte)
	queue   chan []byte
	done    chan struct{}

	mu   sync.Mutex
	over bool
}

func (m *mux) openDatagrams(f *flow, deliver func([]byte)) *muxDatagrams {
	d := &muxDatagrams{
		m: m, id: uint32(f.id), deliver: deliver,
		queue: make(chan []byte, maxQueuedDatagrams), done: make(chan struct{}),
	}
	m.register(f, d, 0)
	go d.drain(f)
	return d
}

func (d *muxDatagrams) drain(f *flow) {
	defer d.discard()
	for {
		select {
		case payload := <-d.queue:
			d.m.send(muxData, d.id, payload)
			d.m.queued.Add(-int64(len(payload)))
		case <-d.done:
			return
		case <-f.gone:
			return
		}
	}
}

// send queues a datagram for sbx, or drops it when sbx is behind.
func (d *muxDatagrams) send(payload []byte) {
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
func (d *muxDatagrams) discard() {
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

func (d *muxDatagrams) data(payload []byte) error {
	d.deliver(payload)
	return nil
}

func (d *muxDatagrams) eof()                {}
func (d *muxDatagrams) reset()              {}
func (d *muxDatagrams) credit(uint32) error { return nil }

// Close ends the flow on both sides.
func (d *muxDatagrams) Close() {
	select {
	case <-d.done:
		return
	default:
	}
	close(d.done)
	d.m.release(d.id)
	go d.m.send(muxReset, d.id, nil)
}

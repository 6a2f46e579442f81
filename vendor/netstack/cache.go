package main

import (
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	maxCached = 16384
	maxQuiet  = 8192
	// quietFor outlasts a Linux guest's SYN retransmissions (tcp_syn_retries 6: 127 s).
	quietFor = 130 * time.Second
)

// target is what a cached verdict is about: it must not depend on anything else.
type target struct {
	proto string
	addr  netip.Addr
	port  uint16
}

type cachedVerdict struct {
	verdict fromSbx
	expires time.Time
}

// verdictCache remembers verdicts that sbx allowed to be remembered, for one policy epoch.
type verdictCache struct {
	mu      sync.Mutex
	entries map[target]cachedVerdict
}

func (c *verdictCache) get(key target, epoch uint64) (fromSbx, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.entries[key]
	if !ok || entry.verdict.Epoch != epoch || time.Now().After(entry.expires) {
		return fromSbx{}, false
	}
	return entry.verdict, true
}

func (c *verdictCache) put(key target, verdict fromSbx) {
	if verdict.TTLMs <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= maxCached {
		clear(c.entries) // a guest that scans pays with questions, not with our memory
	}
	ttl := time.Duration(min(verdict.TTLMs, 60_000)) * time.Millisecond
	c.entries[key] = cachedVerdict{verdict, time.Now().Add(ttl)}
}

func (c *verdictCache) flush() {
	c.mu.Lock()
	clear(c.entries)
	c.mu.Unlock()
}

// quietList holds the 4-tuples of dropped SYNs, so that their retransmissions are dropped without
// another question and another line in the journal.
type quietList struct {
	mu      sync.Mutex
	entries map[stack.TransportEndpointID]time.Time
}

func (q *quietList) add(id stack.TransportEndpointID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.entries) >= maxQuiet {
		clear(q.entries)
	}
	q.entries[id] = time.Now().Add(quietFor)
}

func (q *quietList) has(id stack.TransportEndpointID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	until, ok := q.entries[id]
	return ok && time.Now().Before(until)
}

func (q *quietList) flush() {
	q.mu.Lock()
	clear(q.entries)
	q.mu.Unlock()
}

package verdict

import (
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Quiet holds the 4-tuples of dropped SYNs, so that their retransmissions are dropped without
// another question and another line in the journal.
type Quiet struct {
	mu      sync.Mutex
	entries map[stack.TransportEndpointID]time.Time
}

func NewQuiet() *Quiet { return &Quiet{entries: map[stack.TransportEndpointID]time.Time{}} }

func (q *Quiet) Add(id stack.TransportEndpointID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.entries) >= maxQuiet {
		clear(q.entries)
	}
	q.entries[id] = time.Now().Add(quietFor)
}

func (q *Quiet) Has(id stack.TransportEndpointID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	until, ok := q.entries[id]
	return ok && time.Now().Before(until)
}

func (q *Quiet) Flush() {
	q.mu.Lock()
	clear(q.entries)
	q.mu.Unlock()
}

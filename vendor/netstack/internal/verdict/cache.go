package verdict

import (
	"net/netip"
	"sync"
	"time"

	"sbx.dev/netstack/internal/control"
)

const (
	maxCached = 16384
	maxQuiet  = 8192
	// quietFor outlasts a Linux guest's SYN retransmissions (tcp_syn_retries 6: 127 s).
	quietFor = 130 * time.Second
)

// Target is what a cached verdict is about: it must not depend on anything else.
type Target struct {
	Proto string
	Addr  netip.Addr
	Port  uint16
}

// TargetOf is what a verdict for this flow is about, if one may be kept.
func TargetOf(info control.FlowInfo) (Target, bool) {
	addr, err := netip.ParseAddr(info.Dst)
	return Target{info.Proto, addr, info.Dport}, err == nil && info.Dir == "outbound"
}

type entry struct {
	verdict control.Message
	expires time.Time
}

// Cache remembers verdicts that sbx allowed to be remembered, for one policy epoch.
type Cache struct {
	mu      sync.Mutex
	entries map[Target]entry
}

func NewCache() *Cache { return &Cache{entries: map[Target]entry{}} }

func (c *Cache) Get(key Target, epoch uint64) (control.Message, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.entries[key]
	if !ok || entry.verdict.Epoch != epoch || time.Now().After(entry.expires) {
		return control.Message{}, false
	}
	return entry.verdict, true
}

func (c *Cache) Put(key Target, verdict control.Message) {
	if verdict.TTLMs <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= maxCached {
		clear(c.entries) // a guest that scans pays with questions, not with our memory
	}
	ttl := time.Duration(min(verdict.TTLMs, 60_000)) * time.Millisecond
	c.entries[key] = entry{verdict, time.Now().Add(ttl)}
}

func (c *Cache) Flush() {
	c.mu.Lock()
	clear(c.entries)
	c.mu.Unlock()
}

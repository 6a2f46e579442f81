package verdict

import (
	"net/netip"
	"testing"

	"sbx.dev/netstack/internal/control"
)

func TestVerdictCacheKeepsToItsEpoch(t *testing.T) {
	c := NewCache()
	key := Target{"tcp", netip.MustParseAddr("1.1.1.1"), 443}
	c.Put(key, control.Message{Epoch: 1, Action: control.Allow})
	if _, ok := c.Get(key, 1); ok {
		t.Error("a verdict without a lifetime was kept")
	}
	c.Put(key, control.Message{Epoch: 1, Action: control.Allow, TTLMs: 60_000})
	if _, ok := c.Get(key, 1); !ok {
		t.Error("a verdict was not kept")
	}
	if _, ok := c.Get(key, 2); ok {
		t.Error("a verdict outlived its policy")
	}
	for i := range maxCached + 10 {
		c.Put(Target{"udp", key.Addr, uint16(i)}, control.Message{TTLMs: 1000})
	}
	if len(c.entries) > maxCached {
		t.Errorf("%d entries", len(c.entries))
	}
}

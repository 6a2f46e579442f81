package flow

import (
	"testing"
	"time"
)

func TestNoSecondHasMoreNewFlowsThanAreAllowed(t *testing.T) {
	for _, limit := range []int{1, 7, 100} {
		r := newRateLimit(limit)
		var let []time.Duration
		// A flood that pauses, so that its beginning meets every part of a second.
		for now := time.Duration(0); now < 10*time.Second; now += time.Millisecond {
			if now%(1300*time.Millisecond) < 900*time.Millisecond && r.allow(now) {
				let = append(let, now)
			}
		}
		for first := range let {
			if last := first + limit; last < len(let) && let[last]-let[first] < time.Second {
				t.Fatalf("%d a second: %d within %v", limit, limit+1, let[last]-let[first])
			}
		}
		if len(let) < 7*limit {
			t.Errorf("%d a second: only %d in ten", limit, len(let))
		}
	}
}

func TestAllOfASecondMayComeAtOnce(t *testing.T) {
	r := newRateLimit(50)
	for range 50 {
		if !r.allow(time.Minute) {
			t.Fatal("refused within the limit")
		}
	}
	if r.allow(time.Minute + 999*time.Millisecond) {
		t.Error("one more within the second")
	}
	if !r.allow(time.Minute + time.Second) {
		t.Error("refused in the next second")
	}
}

func TestWithoutALimitThereIsNone(t *testing.T) {
	r := newRateLimit(0)
	for range 100_000 {
		if !r.allow(0) {
			t.Fatal("refused")
		}
	}
}

// Package tsc measures the processor's time stamp counter.
package tsc

import (
	"math"
	"time"
)

func rdtsc() uint64

// tscWindow is long enough for a figure good to about 100 ppm; the guest's kernel refines it.
const tscWindow = 20 * time.Millisecond

// KHz measures the time stamp counter against the monotonic clock. An emulated guest's counter is
// the host's, and has nothing to measure it against where its machine has no timer of old.
func KHz() uint64 {
	first, start := both(rdtsc, time.Now)
	time.Sleep(tscWindow)
	last, end := both(rdtsc, time.Now)
	return (last - first) * uint64(time.Millisecond) / uint64(end.Sub(start))
}

// tries is how often both clocks are read for one pair.
const tries = 8

// both reads the counter and the clock at one moment. Whoever is interrupted between the two, on a loaded machine
// for milliseconds, tries again: of its readings the one counts that took the least.
func both(counter func() uint64, clock func() time.Time) (at uint64, now time.Time) {
	least := uint64(math.MaxUint64)
	for range tries {
		before := counter()
		read := clock()
		took := counter() - before
		if took < least {
			least, at, now = took, before+took/2, read
		}
	}
	return at, now
}

// Package tsc measures the processor's time stamp counter.
package tsc

import "time"

func rdtsc() uint64

// tscWindow is long enough for a figure good to about 100 ppm; the guest's kernel refines it.
const tscWindow = 20 * time.Millisecond

// KHz measures the time stamp counter against the monotonic clock. An emulated guest's counter is
// the host's, and has nothing to measure it against where its machine has no timer of old.
func KHz() uint64 {
	start, first := time.Now(), rdtsc()
	time.Sleep(tscWindow)
	elapsed, last := time.Since(start), rdtsc()
	return (last - first) * uint64(time.Millisecond) / uint64(elapsed)
}

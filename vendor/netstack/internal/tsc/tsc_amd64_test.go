package tsc

import (
	"testing"
	"time"
)

func TestAnInterruptionBetweenBothClocksDoesNotCount(t *testing.T) {
	// A counter of a nanosecond each, which loses a millisecond before or behind the clock in all tries but one.
	start := time.Now()
	var ns uint64
	reading := 0
	counter := func() uint64 {
		reading++
		ns += 100
		if reading%2 == 0 && reading != 10 {
			ns += uint64(time.Millisecond)
		}
		return ns
	}
	clock := func() time.Time { return start.Add(time.Duration(ns)) }
	at, now := both(counter, clock)
	if off := now.Sub(start) - time.Duration(at); off < -100 || off > 100 {
		t.Errorf("the counter said %v when the clock said %v", time.Duration(at), now.Sub(start))
	}
}

func TestMeasurementsAgree(t *testing.T) {
	first := KHz()
	for range 5 {
		if next := KHz(); max(first, next)-min(first, next) > first/1000 {
			t.Errorf("%d and %d kHz", first, next)
		}
	}
}

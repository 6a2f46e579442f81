//go:build !amd64

// Package tsc measures the processor's time stamp counter.
package tsc

// KHz is 0: there is no time stamp counter.
func KHz() uint64 { return 0 }

//go:build !amd64

package main

// tscKHz is 0: there is no time stamp counter.
func tscKHz() uint64 { return 0 }

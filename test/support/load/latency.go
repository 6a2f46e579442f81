package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const patience = 10 * time.Second

type spread struct {
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Count int     `json:"count"`
}

func spreadOf(samples []time.Duration) spread {
	slices.Sort(samples)
	at := func(q float64) float64 {
		return float64(samples[int(float64(len(samples)-1)*q)].Nanoseconds()) / 1000
	}
	return spread{at(0.5), at(0.99), len(samples)}
}

// dialAndReset connects and leaves without a lingering state on either side, so that thousands of samples
// don't run out of ports.
func dialAndReset(to string) (time.Duration, error) {
	start := time.Now()
	c, err := net.DialTimeout("tcp", to, patience)
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	c.(*net.TCPConn).SetLinger(0)
	return took, c.Close()
}

func connect(o options) (any, error) {
	var samples []time.Duration
	for range o.count {
		took, err := dialAndReset(o.to)
		if err != nil {
			return nil, err
		}
		samples = append(samples, took)
	}
	return spreadOf(samples), nil
}

func fresh(o options) (any, error) {
	block, err := netip.ParsePrefix(o.block)
	if err != nil {
		return nil, err
	}
	var samples []time.Duration
	at := block.Addr().Next()
	for ; len(samples) < o.count; at = at.Next() {
		if !block.Contains(at) {
			return nil, fmt.Errorf("%s has fewer than %d addresses", block, o.count)
		}
		took, err := dialAndReset(net.JoinHostPort(at.String(), strconv.Itoa(o.port)))
		if err != nil {
			return nil, err
		}
		samples = append(samples, took)
	}
	return spreadOf(samples), nil
}

func rate(o options) (any, error) {
	var made, failed atomic.Int64
	end := time.Now().Add(time.Duration(o.seconds) * time.Second)
	start := time.Now()
	var all sync.WaitGroup
	for range o.parallel {
		all.Go(func() {
			for time.Now().Before(end) {
				if _, err := dialAndReset(o.to); err != nil {
					failed.Add(1)
				} else {
					made.Add(1)
				}
			}
		})
	}
	all.Wait()
	return map[string]float64{
		"perSecond": float64(made.Load()) / time.Since(start).Seconds(),
		"failed":    float64(failed.Load()),
	}, nil
}

func udp(o options) (any, error) {
	c, err := net.Dial("udp", o.to)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	out, in := make([]byte, o.size), make([]byte, 65536)
	var samples []time.Duration
	for i := range o.count {
		out[0], out[1] = byte(i), byte(i>>8)
		start := time.Now()
		if _, err := c.Write(out); err != nil {
			return nil, err
		}
		c.SetReadDeadline(start.Add(patience))
		n, err := c.Read(in)
		if err != nil {
			return nil, err
		}
		if n != o.size || in[0] != out[0] || in[1] != out[1] {
			return nil, fmt.Errorf("datagram %d came back as %d bytes of another", i, n)
		}
		samples = append(samples, time.Since(start))
	}
	return spreadOf(samples), nil
}

package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	dnsHeader = 12
	// knownNames is how many names a resolver with a cache is asked again and again.
	knownNames = 64
)

// question is a query for the A records of a name, as stub resolvers send it.
func question(id uint16, name string) []byte {
	q := make([]byte, dnsHeader, 512)
	binary.BigEndian.PutUint16(q, id)
	q[2], q[5] = 1, 1 // recursion desired, one question
	for _, label := range []string{name, "bench", "test"} {
		q = append(append(q, byte(len(label))), label...)
	}
	return append(q, 0, 0, 1, 0, 1)
}

// ask puts questions over UDP, so many at once. "fresh" asks for a name that nobody asked for before, "known"
// for a few over and over.
func ask(o options) (any, error) {
	var next, failed atomic.Int64
	samples := make([][]time.Duration, o.parallel)
	run := time.Now().UnixNano()
	start := time.Now()
	var all sync.WaitGroup
	var first atomic.Pointer[error]
	for worker := range o.parallel {
		all.Go(func() {
			c, err := net.Dial("udp", o.to)
			if err != nil {
				first.Store(&err)
				return
			}
			defer c.Close()
			in := make([]byte, 4096)
			for {
				n := next.Add(1)
				if n > int64(o.count) {
					return
				}
				name := fmt.Sprintf("n%d-%x", n, run)
				if o.way == "known" {
					name = fmt.Sprintf("n%d", n%knownNames)
				}
				took, err := exchange(c, question(uint16(n), name), in)
				if err != nil {
					failed.Add(1)
					continue
				}
				samples[worker] = append(samples[worker], took)
			}
		})
	}
	all.Wait()
	if err := first.Load(); err != nil {
		return nil, *err
	}
	took := time.Since(start).Seconds()
	var flat []time.Duration
	for _, s := range samples {
		flat = append(flat, s...)
	}
	if len(flat) == 0 {
		return nil, fmt.Errorf("none of %d questions was answered", o.count)
	}
	s := spreadOf(flat)
	return map[string]float64{
		"perSecond": float64(len(flat)) / took, "p50": s.P50, "p99": s.P99, "failed": float64(failed.Load()),
	}, nil
}

func exchange(c net.Conn, out, in []byte) (time.Duration, error) {
	start := time.Now()
	if _, err := c.Write(out); err != nil {
		return 0, err
	}
	c.SetReadDeadline(start.Add(patience))
	for {
		n, err := c.Read(in)
		if err != nil {
			return 0, err
		}
		if n < dnsHeader || in[0] != out[0] || in[1] != out[1] {
			continue // a late answer to another question
		}
		if answers := binary.BigEndian.Uint16(in[6:]); answers == 0 {
			return 0, fmt.Errorf("no answer, code %d", in[3]&15)
		}
		return time.Since(start), nil
	}
}

// answer serves one address for every name; a resolver that does less cannot answer at all.
func answer(o options) (any, error) {
	conn, err := net.ListenPacket("udp", o.to)
	if err != nil {
		return nil, err
	}
	fmt.Printf("serving %s\n", conn.LocalAddr())
	in := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(in)
		if err != nil {
			return nil, err
		}
		end := dnsHeader
		for end < n && in[end] != 0 {
			end += 1 + int(in[end])
		}
		if end+5 > n {
			continue
		}
		out := append(make([]byte, 0, 128), in[:end+5]...)
		out[2], out[3] = 0x81, 0x80 // an answer, recursion available
		copy(out[6:], []byte{0, 1, 0, 0, 0, 0})
		out = append(out, 0xc0, dnsHeader, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 45, 0, 0, 1)
		conn.WriteTo(out, from)
	}
}

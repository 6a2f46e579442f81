package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

type moved struct {
	Bytes       int64   `json:"bytes"`
	SHA256      string  `json:"sha256"`
	GbitsPerSec float64 `json:"gbitsPerSecond"`
}

func movedIn(n int64, sum []byte, took time.Duration) moved {
	return moved{n, hex.EncodeToString(sum), float64(n) * 8 / 1e9 / took.Seconds()}
}

// noise fills a buffer that is cheap to send and to hash again.
func noise() []byte {
	b, x := make([]byte, 1<<20), uint32(7)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func up(o options) (any, error) {
	c, err := net.DialTimeout("tcp", o.to, patience)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	io.WriteString(c, "SINK\n")
	h, b, start := sha256.New(), noise(), time.Now()
	for left := o.bytes; left > 0; left -= int64(len(b)) {
		b = b[:min(left, int64(len(b)))]
		if _, err := c.Write(b); err != nil {
			return nil, err
		}
		h.Write(b)
	}
	c.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(c)
	took := time.Since(start)
	if err != nil {
		return nil, err
	}
	sum := h.Sum(nil)
	if want := fmt.Sprintf("%d %x", o.bytes, sum); strings.TrimSpace(string(answer)) != want {
		return nil, fmt.Errorf("sent %s, the server has %s", want, answer)
	}
	return movedIn(o.bytes, sum, took), nil
}

// down only counts and hashes: that the hash is the pattern's is for the test to say.
func down(o options) (any, error) {
	c, err := net.DialTimeout("tcp", o.to, patience)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	start := time.Now()
	fmt.Fprintf(c, "SOURCE %d\n", o.bytes)
	h := sha256.New()
	n, err := io.CopyBuffer(h, struct{ io.Reader }{c}, make([]byte, 1<<20))
	if err != nil {
		return nil, err
	}
	return movedIn(n, h.Sum(nil), time.Since(start)), nil
}

// hold opens all connections before it uses any, and uses all before it closes one.
func hold(o options) (any, error) {
	conns := make([]net.Conn, o.count)
	failures := make([]error, o.count)
	each := func(do func(i int) error) error {
		var all sync.WaitGroup
		for i := range conns {
			all.Go(func() { failures[i] = do(i) })
		}
		all.Wait()
		return errors.Join(failures...)
	}
	if err := each(func(i int) (err error) {
		conns[i], err = net.DialTimeout("tcp", o.to, 3*patience)
		return
	}); err != nil {
		return nil, err
	}
	err := each(func(i int) error {
		say := fmt.Appendf(nil, "connection %d\n", i)
		conns[i].SetDeadline(time.Now().Add(3 * patience))
		if _, err := conns[i].Write(say); err != nil {
			return err
		}
		heard := make([]byte, len(say))
		if _, err := io.ReadFull(conns[i], heard); err != nil {
			return err
		}
		if !bytes.Equal(say, heard) {
			return fmt.Errorf("connection %d heard %q", i, heard)
		}
		return nil
	})
	for _, c := range conns {
		c.Close()
	}
	return map[string]int{"held": o.count}, err
}

// keep opens connections and lets them be until stdin ends.
func keep(o options) (any, error) {
	for range o.count {
		c, err := net.DialTimeout("tcp", o.to, 3*patience)
		if err != nil {
			return nil, err
		}
		defer c.Close()
	}
	fmt.Println(`"kept"`)
	io.Copy(io.Discard, os.Stdin)
	return map[string]int{"kept": o.count}, nil
}

// halves ends each direction before the other: a server that answers only after our end, and one that
// ends first and goes on listening.
func halves(o options) (any, error) {
	first, err := up(o)
	if err != nil {
		return nil, fmt.Errorf("our half first: %w", err)
	}
	c, err := net.DialTimeout("tcp", o.to, patience)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	io.WriteString(c, "TAIL\n")
	bye, err := io.ReadAll(c)
	if err != nil || string(bye) != "bye\n" {
		return nil, fmt.Errorf("their half first: heard %q, %v", bye, err)
	}
	h, b, start := sha256.New(), noise(), time.Now()
	for left := o.bytes; left > 0; left -= int64(len(b)) {
		b = b[:min(left, int64(len(b)))]
		if _, err := c.Write(b); err != nil {
			return nil, fmt.Errorf("their half first: %w", err)
		}
		h.Write(b)
	}
	return map[string]any{"ours": first, "theirs": movedIn(o.bytes, h.Sum(nil), time.Since(start))}, nil
}

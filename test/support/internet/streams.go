package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
)

type servers struct {
	book      *book
	authority *authority
	files     string
	names     *names
	members   map[string]member
	bucket    bucket
}

func accepting(l net.Listener, serve func(net.Conn)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			serve(conn)
		}()
	}
}

// reading hides everything of a connection but Read: io.Copy would find the kernel's shortcuts, past the
// counting.
func reading(c net.Conn) io.Reader { return struct{ io.Reader }{c} }

// banner speaks first, as SSH servers do, and then listens to what it is told.
func (s *servers) banner(c net.Conn) {
	io.WriteString(c, "SSH-2.0-internet\r\n")
	io.Copy(io.Discard, reading(c))
}

func (s *servers) echo(c net.Conn) { io.Copy(c, reading(c)) }

// canary answers nothing; that it was reached at all is the finding.
func (s *servers) canary(c net.Conn) { io.Copy(io.Discard, reading(c)) }

// bulk moves streams whose content both sides can check. The first line says which way:
//
//	SOURCE n   n bytes of the pattern, then the end
//	SINK       reads to the end, then answers "bytes sha256" (a client that half-closes gets it)
//	TAIL       says "bye", half-closes, and notes in the book what still comes
func (s *servers) bulk(c net.Conn) {
	to := endpoint(c.LocalAddr())
	in := bufio.NewReaderSize(c, 256<<10)
	line, err := in.ReadString('\n')
	if err != nil {
		return
	}
	switch word, rest, _ := strings.Cut(strings.TrimSpace(line), " "); word {
	case "SOURCE":
		var n int64
		fmt.Sscan(rest, &n)
		io.Copy(c, pattern(n))
	case "SINK":
		sum, n := digest(in)
		s.book.note(func(r *report) { r.Streams = append(r.Streams, stream{to, n, sum}) })
		fmt.Fprintf(c, "%d %s\n", n, sum)
	case "TAIL":
		io.WriteString(c, "bye\n")
		c.(*recorded).CloseWrite()
		sum, n := digest(in)
		s.book.note(func(r *report) { r.Streams = append(r.Streams, stream{to, n, sum}) })
	}
}

func digest(r io.Reader) (string, int64) {
	h := sha256.New()
	n, _ := io.CopyBuffer(h, r, make([]byte, 256<<10))
	return hex.EncodeToString(h.Sum(nil)), n
}

// pattern is n bytes that repeat with a period of 65521, a prime, so that a block lost, doubled or
// swapped anywhere changes the hash.
func pattern(n int64) io.Reader { return io.LimitReader(&wheel{}, n) }

const period = 65521

var block = func() (b [period]byte) {
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223 // Numerical Recipes' generator: any fixed noise does.
		b[i] = byte(x >> 24)
	}
	return
}()

type wheel struct{ at int }

func (w *wheel) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c := copy(p[n:], block[w.at:])
		n, w.at = n+c, (w.at+c)%period
	}
	return n, nil
}

// datagrams counts by the address each was sent to, which a wildcard socket learns from control messages.
func (s *servers) datagrams(conn *net.UDPConn, echo bool) {
	wantDestination(conn)
	payload, control := make([]byte, 65536), make([]byte, 256)
	port := conn.LocalAddr().(*net.UDPAddr).Port
	for {
		n, cn, _, from, err := conn.ReadMsgUDPAddrPort(payload, control)
		if err != nil {
			return
		}
		to, reply := destination(control[:cn], port)
		s.book.note(func(r *report) { r.Datagrams[to]++ })
		if echo {
			conn.WriteMsgUDPAddrPort(payload[:n], reply, from)
		}
	}
}

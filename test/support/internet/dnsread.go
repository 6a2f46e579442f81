package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// readMessages reads DNS messages, each behind two bytes of length, and prints how Go reads each: a line of its
// header, its question and its answers, or an empty line where it is none.
func readMessages() {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for {
		var length uint16
		if binary.Read(in, binary.BigEndian, &length) != nil {
			return
		}
		message := make([]byte, length)
		if _, err := io.ReadFull(in, message); err != nil {
			return
		}
		fmt.Fprintln(out, readingOf(message))
	}
}

func readingOf(message []byte) (line string) {
	// Go's own reader of service records reads past the end of damaged ones.
	defer func() {
		if recover() != nil {
			line = ""
		}
	}()
	var m dnsmessage.Message
	if m.Unpack(message) != nil || len(m.Questions) != 1 {
		return ""
	}
	h, q := m.Header, m.Questions[0]
	said := []string{words(h.ID, h.Response, uint16(h.OpCode), h.Truncated, h.RecursionDesired, uint16(h.RCode))}
	said = append(said, words(name16(q.Name), uint16(q.Type), uint16(q.Class)))
	for _, section := range [][]dnsmessage.Resource{m.Answers, m.Authorities} {
		for _, r := range section {
			said = append(said, words(name16(r.Header.Name), uint16(r.Header.Type), uint16(r.Header.Class), r.Header.TTL, body(r.Body)))
		}
		said = append(said, "-")
	}
	return strings.Join(said, "|")
}

func words(values ...any) string { return strings.TrimSpace(fmt.Sprintln(values...)) }

func name16(n dnsmessage.Name) string {
	return "/" + hex.EncodeToString([]byte(strings.TrimSuffix(n.String(), "."))) + "/"
}

func body(b dnsmessage.ResourceBody) string {
	switch r := b.(type) {
	case *dnsmessage.AResource:
		return hex.EncodeToString(r.A[:])
	case *dnsmessage.AAAAResource:
		return hex.EncodeToString(r.AAAA[:])
	case *dnsmessage.CNAMEResource:
		return name16(r.CNAME)
	case *dnsmessage.NSResource:
		return name16(r.NS)
	case *dnsmessage.PTRResource:
		return name16(r.PTR)
	case *dnsmessage.MXResource:
		return words(r.Pref, name16(r.MX))
	case *dnsmessage.SRVResource:
		return words(r.Priority, r.Weight, r.Port, name16(r.Target))
	case *dnsmessage.SOAResource:
		return words(name16(r.NS), name16(r.MBox), r.Serial, r.Refresh, r.Retry, r.Expire, r.MinTTL)
	}
	return "?"
}

package main

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is what the resolvers know: for each name its records by type. "A" and "AAAA" give all addresses at
// once, "A in turn" one more of them with each query, "CNAME" another name, "TXT" one string each. A name
// that is not there does not exist.
type zone map[string]map[string][]string

// names answers queries on every address; a test can see each in the book, and ask an address of its own
// (config "lies") for other answers than the rest.
type names struct {
	book  *book
	zone  zone
	lies  map[string]zone
	mu    sync.Mutex
	turns map[string]int
}

func (n *names) answer(packet []byte, to netip.Addr, via string) []byte {
	var p dnsmessage.Parser
	head, err := p.Start(packet)
	if err != nil || head.Response {
		return nil
	}
	question, err := p.Question()
	if err != nil {
		return nil
	}
	asked := strings.TrimSuffix(question.Name.String(), ".")
	kind := strings.TrimPrefix(question.Type.String(), "Type")
	n.book.note(func(r *report) {
		r.Queries = append(r.Queries, query{to.String(), asked, kind, via})
	})
	z := n.zone
	if lies, ok := n.lies[to.String()]; ok {
		z = lies
	}
	reply := dnsmessage.Header{
		ID: head.ID, Response: true, Authoritative: true,
		RecursionDesired: head.RecursionDesired, RecursionAvailable: true,
	}
	records, found := z[strings.ToLower(asked)]
	if !found {
		reply.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(make([]byte, 2, 512), reply)
	b.EnableCompression()
	b.StartQuestions()
	b.Question(question)
	b.StartAnswers()
	owner := question.Name
	for target := records["CNAME"]; len(target) > 0; target = records["CNAME"] {
		next, err := dnsmessage.NewName(target[0] + ".")
		if err != nil {
			return nil
		}
		b.CNAMEResource(header(owner), dnsmessage.CNAMEResource{CNAME: next})
		owner, records = next, z[target[0]]
	}
	n.addresses(&b, owner, records, question.Type)
	out, err := b.Finish()
	if err != nil {
		return nil
	}
	if out = out[2:]; via == "udp" && len(out) > udpSize(packet) {
		return truncated(reply, question)
	}
	return out
}

// udpSize is what a client takes over UDP; all of today's that send an OPT record take this much.
func udpSize(packet []byte) int {
	if binary.BigEndian.Uint16(packet[10:]) > 0 {
		return 1232
	}
	return 512
}

// truncated tells the client to come back over TCP.
func truncated(reply dnsmessage.Header, question dnsmessage.Question) []byte {
	reply.Truncated = true
	b := dnsmessage.NewBuilder(nil, reply)
	b.StartQuestions()
	b.Question(question)
	out, _ := b.Finish()
	return out
}

func (n *names) addresses(b *dnsmessage.Builder, owner dnsmessage.Name, records map[string][]string, kind dnsmessage.Type) {
	switch kind {
	case dnsmessage.TypeA:
		for _, text := range append(records["A"], n.turn(owner.String(), records["A in turn"])...) {
			b.AResource(header(owner), dnsmessage.AResource{A: netip.MustParseAddr(text).As4()})
		}
	case dnsmessage.TypeAAAA:
		for _, text := range records["AAAA"] {
			b.AAAAResource(header(owner), dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(text).As16()})
		}
	case dnsmessage.TypeTXT:
		for _, text := range records["TXT"] {
			b.TXTResource(header(owner), dnsmessage.TXTResource{TXT: []string{text}})
		}
	}
}

func (n *names) turn(name string, of []string) []string {
	if len(of) == 0 {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	at := n.turns[name]
	n.turns[name]++
	return of[at%len(of) : at%len(of)+1]
}

func header(owner dnsmessage.Name) dnsmessage.ResourceHeader {
	return dnsmessage.ResourceHeader{Name: owner, Class: dnsmessage.ClassINET, TTL: 30}
}

func (n *names) overUDP(conn *net.UDPConn) {
	wantDestination(conn)
	packet, control := make([]byte, 4096), make([]byte, 256)
	for {
		size, cn, _, from, err := conn.ReadMsgUDPAddrPort(packet, control)
		if err != nil {
			return
		}
		to, reply := destination(control[:cn], 53)
		if out := n.answer(packet[:size], netip.MustParseAddrPort(to).Addr(), "udp"); out != nil {
			conn.WriteMsgUDPAddrPort(out, reply, from)
		}
	}
}

func (n *names) overTCP(c net.Conn) {
	to := netip.MustParseAddrPort(endpoint(c.LocalAddr())).Addr()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		packet := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, packet); err != nil {
			return
		}
		out := n.answer(packet, to, "tcp")
		if out == nil {
			return
		}
		binary.BigEndian.PutUint16(size[:], uint16(len(out)))
		c.Write(append(size[:], out...))
	}
}

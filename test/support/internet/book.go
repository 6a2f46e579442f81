package main

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// book is what the servers saw. A canary at zero is only worth something beside a server that counts,
// so both are the same code.
type book struct {
	mu        sync.Mutex
	r         report
	farewells farewells
	// catchUp tallies what has arrived and was not looked at yet; nil where packets are not captured.
	catchUp func()
}

type report struct {
	// Accepts counts connections by the address they were made to.
	Accepts map[string]int `json:"accepts"`
	// Bytes counts what those connections sent.
	Bytes map[string]int64 `json:"bytes"`
	// Datagrams counts UDP payloads by destination, of the servers that listen.
	Datagrams map[string]int `json:"datagrams"`
	// Packets counts everything that came in on the captured interface, by protocol and destination.
	Packets  map[string]int `json:"packets"`
	Names    []name         `json:"names"`
	Requests []request      `json:"requests"`
	Queries  []query        `json:"queries"`
	// Streams are the uploads that ended: how many bytes, and their SHA-256.
	Streams []stream `json:"streams"`
	// Letters are the requests to servers for members.
	Letters []letter `json:"letters"`
}

type name struct {
	To  string `json:"to"`
	SNI string `json:"sni"`
}

type request struct {
	To     string `json:"to"`
	Host   string `json:"host"`
	Method string `json:"method"`
	Path   string `json:"path"`
	Proto  string `json:"proto"`
}

type query struct {
	To   string `json:"to"`
	Name string `json:"name"`
	Type string `json:"type"`
	Via  string `json:"via"`
}

type stream struct {
	To     string `json:"to"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func newBook() *book {
	b := &book{}
	b.reset()
	return b
}

func (b *book) reset() {
	b.farewells.reset()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.r = report{
		Accepts: map[string]int{}, Bytes: map[string]int64{},
		Datagrams: map[string]int{}, Packets: map[string]int{},
		Names: []name{}, Requests: []request{}, Queries: []query{}, Streams: []stream{},
		Letters: []letter{},
	}
}

func (b *book) report() report {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.r
	r.Accepts, r.Bytes = maps.Clone(r.Accepts), maps.Clone(r.Bytes)
	r.Datagrams, r.Packets = maps.Clone(r.Datagrams), maps.Clone(r.Packets)
	r.Names, r.Requests = slices.Clone(r.Names), slices.Clone(r.Requests)
	r.Queries, r.Streams = slices.Clone(r.Queries), slices.Clone(r.Streams)
	r.Letters = slices.Clone(r.Letters)
	return r
}

func (b *book) note(write func(*report)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	write(&b.r)
}

// recorder counts accepts and received bytes of a listener, whoever serves it.
type recorder struct {
	net.Listener
	book *book
}

func (l *recorder) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	to := endpoint(conn.LocalAddr())
	l.book.note(func(r *report) { r.Accepts[to]++ })
	return &recorded{TCPConn: conn.(*net.TCPConn), book: l.book, to: to}, nil
}

type recorded struct {
	*net.TCPConn
	book *book
	to   string
}

func (c *recorded) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if n > 0 {
		c.book.note(func(r *report) { r.Bytes[c.to] += int64(n) })
	}
	return n, err
}

// endpoint prints an address as tests write it: IPv4 never in its IPv6 spelling.
func endpoint(a net.Addr) string {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return a.String()
	}
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port()).String()
}

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// clientHello records what a real TLS client says first.
func clientHello(t testing.TB, name string) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go tls.Client(client, &tls.Config{ServerName: name, NextProtos: []string{"h2", "http/1.1"}}).Handshake()
	server.SetReadDeadline(time.Now().Add(5 * time.Second))
	hello := make([]byte, 16<<10)
	n, err := server.Read(hello)
	if err != nil {
		t.Fatal(err)
	}
	return hello[:n]
}

// splitRecords cuts the one record of a hello into records of at most size bytes.
func splitRecords(hello []byte, size int) []byte {
	var out []byte
	for body := hello[recordHeader:]; len(body) > 0; {
		n := min(size, len(body))
		out = append(out, hello[0], hello[1], hello[2])
		out = binary.BigEndian.AppendUint16(out, uint16(n))
		out = append(out, body[:n]...)
		body = body[n:]
	}
	return out
}

func TestFirstFlight(t *testing.T) {
	hello := clientHello(t, "api.allowed.test")
	for _, row := range []struct {
		name string
		data []byte
		want flightState
	}{
		{"nothing", nil, flightPartial},
		{"a hello", hello, flightComplete},
		{"half a hello", hello[:len(hello)/2], flightPartial},
		{"a hello in records of 10", splitRecords(hello, 10), flightComplete},
		{"a hello in records of 1", splitRecords(hello, 1), flightComplete},
		{"records of 10 but the last", splitRecords(hello, 10)[:len(splitRecords(hello, 10))-1], flightPartial},
		{"an empty record", []byte{22, 3, 1, 0, 0}, flightOpaque},
		{"another handshake", []byte{22, 3, 3, 0, 4, 2, 0, 0, 0}, flightOpaque},
		{"an HTTP head", []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), flightComplete},
		{"a bare LF head", []byte("GET / HTTP/1.1\nHost: a\n\n"), flightComplete},
		{"half a head", []byte("GET / HTTP/1.1\r\nHost: a\r\n"), flightPartial},
		{"a method nobody knows", []byte("get / HTTP/1.1\r\nHost: a\r\n\r\n"), flightComplete},
		{"its first letter", []byte("g"), flightPartial},
		{"empty lines first", []byte("\r\n\nGET / HTTP/1.1\r\nHost: a\r\n"), flightPartial},
		{"mixed line ends", []byte("GET / HTTP/1.1\nHost: a\r\n\r\n"), flightComplete},
		{"a command of another protocol", []byte("EHLO mail.test\r\n"), flightOpaque},
		{"an alert before the hello", []byte{21, 3, 1, 0, 2, 1, 90}, flightOpaque},
		{"an SSH banner", []byte("SSH-2.0-OpenSSH_9\r\n"), flightOpaque},
		{"binary", []byte{0, 1, 2}, flightOpaque},
	} {
		if got := firstFlight(row.data); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
	mutations([][]byte{hello, splitRecords(hello, 30)}, 20_000, func(data []byte) { firstFlight(data) })
}

func frameMessage(text string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
}

func TestReadMessage(t *testing.T) {
	verdict := frameMessage(`{"t":"verdict","id":7,"epoch":1,"action":"allow","future":{"x":1}}`)
	m, err := readMessage(bytes.NewReader(verdict))
	if err != nil || m.ID != 7 || m.Action != actionAllow {
		t.Fatalf("%+v %v", m, err)
	}
	for name, data := range map[string][]byte{
		"too long":    {0, 0x20, 0, 0},
		"empty":       {0, 0, 0, 0},
		"not JSON":    frameMessage("nope"),
		"wrong type":  frameMessage(`{"t":1}`),
		"cut":         verdict[:20],
		"wrong field": frameMessage(`{"t":"verdict","id":-1}`),
	} {
		if _, err := readMessage(bytes.NewReader(data)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	mutations([][]byte{verdict}, 20_000, func(data []byte) { readMessage(bytes.NewReader(data)) })
}

func TestGuardRails(t *testing.T) {
	var g guard
	g.setHost([]string{"151.101.9.2", "2606:4700:9::2", "junk"})
	for text, allowed := range map[string]bool{
		"93.184.216.34": true, "10.0.0.1": true, "2606:2800:220::34": true, // private is policy's business
		"0.0.0.0": false, "0.1.2.3": false, "127.0.0.1": false, "169.254.169.254": false,
		"224.0.0.251": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "fe80::1": false, "ff02::fb": false, "::ffff:10.9.9.9": false,
		"64:ff9b::a09:909": false, "2002:a09:909::1": false,
		"151.101.9.2": false, "2606:4700:9::2": false,
	} {
		if err := g.check(netip.MustParseAddr(text)); (err == nil) != allowed {
			t.Errorf("%s: %v", text, err)
		}
	}
	judged := netip.MustParseAddrPort("127.0.0.1:80")
	if _, err := g.dialTarget(fromSbx{}, judged); !errors.Is(err, errGuard) {
		t.Error("an implicit dial passed the guard")
	}
	if to, err := g.dialTarget(fromSbx{Dial: "127.0.0.1:8080"}, judged); err != nil || to.Port() != 8080 {
		t.Errorf("the explicit dial: %v %v", to, err)
	}
	if _, err := g.dialTarget(fromSbx{Dial: "localhost:1"}, judged); err == nil {
		t.Error("a name was taken as a dial address")
	}
}

func TestVerdictCacheKeepsToItsEpoch(t *testing.T) {
	c := verdictCache{entries: map[target]cachedVerdict{}}
	key := target{"tcp", netip.MustParseAddr("1.1.1.1"), 443}
	c.put(key, fromSbx{Epoch: 1, Action: actionAllow})
	if _, ok := c.get(key, 1); ok {
		t.Error("a verdict without a lifetime was kept")
	}
	c.put(key, fromSbx{Epoch: 1, Action: actionAllow, TTLMs: 60_000})
	if _, ok := c.get(key, 1); !ok {
		t.Error("a verdict was not kept")
	}
	if _, ok := c.get(key, 2); ok {
		t.Error("a verdict outlived its policy")
	}
	for i := range maxCached + 10 {
		c.put(target{"udp", key.addr, uint16(i)}, fromSbx{TTLMs: 1000})
	}
	if len(c.entries) > maxCached {
		t.Errorf("%d entries", len(c.entries))
	}
}

func TestOnlyDenialsAreRepeatedForAnSbxThatFellSilent(t *testing.T) {
	for _, row := range []struct {
		cached string
		silent time.Duration
		want   string
		asked  bool
	}{
		{actionAllow, -time.Hour, actionAllow, false},
		{actionInspect, -time.Hour, actionInspect, false},
		{actionRedirect, -time.Hour, actionRedirect, false},
		{actionDeny, -time.Hour, actionDeny, false},
		{actionAllow, attention, actionDeny, true},
		{actionInspect, attention, actionDeny, true},
		{actionRedirect, attention, actionDeny, true},
		{actionDeny, attention, actionDeny, false},
	} {
		ours, theirs := net.Pipe()
		asked := make(chan bool, 1)
		go func() { // an sbx that reads, and says nothing; its end would be the end of the process
			in := bufio.NewReader(theirs)
			for first := true; ; first = false {
				message, err := readMessage(in)
				if first {
					asked <- message.T == "flow"
				}
				if err != nil {
					return
				}
			}
		}()
		c := newControl(ours)
		c.timeout = 20 * time.Millisecond
		c.heard.Store(int64(time.Since(started) - row.silent))
		g := &gateway{control: c, flows: newFlows(), cache: verdictCache{entries: map[target]cachedVerdict{}}}
		f := g.begin(flowInfo{Proto: "tcp", Dir: "outbound", Src: "192.168.127.2", Dst: "1.1.1.1", Dport: 443})
		key, _ := f.target()
		g.cache.put(key, fromSbx{Action: row.cached, TTLMs: 60_000})
		got := g.decide(f).Action
		if told := <-asked; got != row.want || told != row.asked {
			t.Errorf("%+v: %s, asked %t", row, got, told)
		}
	}
}

// muxPair is netstack's mux with the other end in the test's hands.
func muxPair(t *testing.T) (*mux, net.Conn, <-chan error) {
	t.Helper()
	ours, theirs := net.Pipe()
	m := newMux(ours)
	ended := make(chan error, 1)
	go func() { ended <- m.run() }()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return m, theirs, ended
}

func readMuxFrame(t *testing.T, r io.Reader) (kind byte, id uint32, payload []byte) {
	t.Helper()
	var head [muxHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		t.Fatal(err)
	}
	word := binary.BigEndian.Uint32(head[:])
	payload = make([]byte, word&0xffffff)
	if _, err := io.ReadFull(r, payload); err != nil {
		t.Fatal(err)
	}
	return byte(word >> 24), binary.BigEndian.Uint32(head[4:]), payload
}

func muxFrame(kind byte, id uint32, payload []byte) []byte {
	frame := binary.BigEndian.AppendUint32(nil, uint32(kind)<<24|uint32(len(payload)))
	return append(binary.BigEndian.AppendUint32(frame, id), payload...)
}

func TestMuxStreamCarriesBothDirections(t *testing.T) {
	m, sbx, _ := muxPair(t)
	f := &flow{id: 9, info: flowInfo{Proto: "tcp", Dst: "1.1.1.1", Dport: 443}}
	streams := make(chan *muxStream, 1)
	go func() { streams <- m.open(f, muxWindow) }()
	kind, id, payload := readMuxFrame(t, sbx)
	if kind != muxOpen || id != 9 || !strings.Contains(string(payload), `"dport":443`) {
		t.Fatalf("open: %d %d %s", kind, id, payload)
	}
	s := <-streams
	go s.Write([]byte("hello"))
	if kind, _, payload = readMuxFrame(t, sbx); kind != muxData || string(payload) != "hello" {
		t.Fatalf("data: %d %s", kind, payload)
	}
	go s.CloseWrite()
	if kind, _, _ = readMuxFrame(t, sbx); kind != muxEOF {
		t.Fatalf("eof: %d", kind)
	}
	sbx.Write(muxFrame(muxData, 9, []byte("world")))
	sbx.Write(muxFrame(muxEOF, 9, nil))
	got, err := io.ReadAll(s)
	if err != nil || string(got) != "world" {
		t.Fatalf("%q %v", got, err)
	}
}

func TestMuxStreamWaitsForCredit(t *testing.T) {
	m, sbx, _ := muxPair(t)
	go m.open(&flow{id: 1}, muxWindow)
	readMuxFrame(t, sbx)
	m.mu.Lock()
	s := m.streams[1].(*muxStream)
	m.mu.Unlock()
	done := make(chan struct{})
	go func() { s.Write(make([]byte, muxWindow+1)); close(done) }()
	for got := 0; got < muxWindow; {
		_, _, payload := readMuxFrame(t, sbx)
		got += len(payload)
	}
	select {
	case <-done:
		t.Fatal("wrote past the credit")
	case <-time.After(50 * time.Millisecond):
	}
	sbx.Write(muxFrame(muxCredit, 1, []byte{0, 0, 0, 1}))
	if _, _, payload := readMuxFrame(t, sbx); len(payload) != 1 {
		t.Fatalf("%d bytes after the credit", len(payload))
	}
	<-done
}

func TestStreamsHaveLessCreditTheMoreThereAre(t *testing.T) {
	for _, row := range []struct {
		flows int64
		want  int
	}{{1, muxWindow}, {64, muxWindow}, {65, 64 << 10}, {512, 64 << 10}, {513, 16 << 10}, {8192, 16 << 10}} {
		m, sbx, ended := muxPair(t)
		opened := make(chan *muxStream, 1)
		go func() { opened <- m.open(&flow{id: 1}, creditFor(row.flows)) }()
		_, _, opening := readMuxFrame(t, sbx)
		var said openMessage
		if json.Unmarshal(opening, &said); said.Credit != row.want {
			t.Errorf("%d flows: %s", row.flows, opening)
		}
		s := <-opened
		go s.Write(make([]byte, row.want+1))
		for got := 0; got < row.want; {
			_, _, payload := readMuxFrame(t, sbx)
			got += len(payload)
		}
		sbx.Write(muxFrame(muxCredit, 1, []byte{0, 0, 0, 1}))
		if _, _, payload := readMuxFrame(t, sbx); len(payload) != 1 {
			t.Errorf("%d flows: %d bytes after the credit", row.flows, len(payload))
		}
		for sent := 0; sent < row.want; sent += 16 << 10 {
			sbx.Write(muxFrame(muxData, 1, make([]byte, 16<<10)))
		}
		go sbx.Write(muxFrame(muxData, 1, []byte{1}))
		if err := <-ended; !errors.Is(err, errCredit) {
			t.Errorf("%d flows: %v for more than the credit", row.flows, err)
		}
	}
}

func TestMuxRefusesViolations(t *testing.T) {
	for name, frame := range map[string][]byte{
		"unknown type":   muxFrame(9, 1, nil),
		"open from sbx":  muxFrame(muxOpen, 1, nil),
		"too long":       {muxData, 0x02, 0, 0, 0, 0, 0, 1},
		"short credit":   muxFrame(muxCredit, 1, []byte{1}),
		"credit overrun": muxFrame(muxCredit, 1, []byte{0xff, 0, 0, 0}),
	} {
		m, sbx, ended := muxPair(t)
		go m.open(&flow{id: 1}, muxWindow)
		readMuxFrame(t, sbx)
		go sbx.Write(frame)
		select {
		case err := <-ended:
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s: tolerated", name)
		}
	}
}

package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/flight"
	"sbx.dev/netstack/internal/nettest"
)

// recorder is a server that keeps what it was sent, and answers each connection once with these bytes,
// one by one.
type recorder struct {
	addr   net.Addr
	answer []byte

	mu  sync.Mutex
	got []byte
}

func record(t testing.TB, answer []byte) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r := &recorder{addr: l.Addr(), answer: answer}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return r
}

func (r *recorder) serve(conn net.Conn) {
	defer conn.Close()
	answer := r.answer
	chunk := make([]byte, 4096)
	for {
		n, err := conn.Read(chunk)
		r.mu.Lock()
		r.got = append(r.got, chunk[:n]...)
		r.mu.Unlock()
		if err != nil {
			return
		}
		for _, c := range answer {
			conn.Write([]byte{c})
		}
		answer = nil
	}
}

func (r *recorder) heard() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.got)
}

// inspecting is a rig whose flows are inspected, and whose first bytes `allows` judges.
func inspecting(t testing.TB, to net.Addr, allows func([]byte) bool) (*rig, func() []string) {
	r := newRig(t, 1500, func(control.FlowInfo) control.Message { return control.Message{Action: control.Inspect, WaitMs: 100} })
	var mu sync.Mutex
	var asked []string
	first := func(m told) control.Message {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, string(m.Data))
		switch {
		case len(m.Data) == 0:
			return control.Message{Action: control.Inspect, Dial: to.String()}
		case allows(m.Data):
			return control.Message{Action: control.Allow, Dial: to.String()}
		}
		return control.Message{Action: control.Deny}
	}
	r.first.Store(&first)
	return r, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(asked)
	}
}

func readAs(data []byte) flight.State {
	var f flight.Reader
	return f.Feed(data)
}

func always([]byte) bool { return true }

// A request may not be put together from pieces that are none, behind the back of whoever judges.
func TestWhatBecomesARequestLaterDoesNotGoOut(t *testing.T) {
	for _, row := range []struct {
		what    string
		pieces  []string
		reaches string
	}{
		{"a control character first", []string{"\x01GET /", " HTTP/1.1\r\nHost: evil.test\r\n\r\n"}, "\x01GET /"},
		{"a Host without a version", []string{"GET /x\r\n", "X: y\r\nHo", "st: evil.test\r\n\r\n"}, "GET /x\r\nX: y\r\nHo"},
		{"a line feed first", []string{"x\n", "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n"}, "x\n"},
		{"another request behind", []string{"PING x\r\n", "\r\nGET / HTTP/1.1\r\n"}, "PING x\r\n"},
	} {
		server := record(t, nil)
		r, asked := inspecting(t, server.addr, func(data []byte) bool { return readAs(data) == flight.Open })
		conn, err := r.dial(nettest.OpenHost + ":80")
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(nettest.Hang))
		sent := ""
		for _, piece := range row.pieces {
			conn.Write([]byte(piece))
			sent += piece
			if strings.HasPrefix(row.reaches, sent) {
				nettest.Settle(t, row.what, func() bool { return server.heard() == sent })
			}
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("%s: the guest read on: %v", row.what, err)
		}
		r.wait("the end of the flow", func(m told) bool { return m.T == "closed" && m.End == control.EndDenied })
		if got := server.heard(); got != row.reaches {
			t.Errorf("%s: the server got %q, want %q", row.what, got, row.reaches)
		}
		if questions := asked(); questions[len(questions)-1] != sent {
			t.Errorf("%s: sbx was asked %q", row.what, questions)
		}
	}
}

// Neither HTTP nor TLS begins with the server, so that whoever is greeted speaks another protocol.
func TestAServerThatSpeaksFirstIsNoServerOfRequests(t *testing.T) {
	greeting := "220 mail.test\r\n"
	server := record(t, []byte(greeting))
	r, _ := inspecting(t, server.addr, always)
	conn, err := r.dial(nettest.OpenHost + ":80")
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(nettest.Hang))
	conn.Write([]byte("EHLO mail.test\r\n"))
	io.ReadFull(conn, make([]byte, len(greeting)))
	conn.Write([]byte("Host: x\r\n\r\n"))
	nettest.Settle(t, "the rest", func() bool { return server.heard() == "EHLO mail.test\r\nHost: x\r\n\r\n" })
}

var plainAnswer = []byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

// A client that spoke TLS to a server of something else says so and leaves, which is nothing to tell of.
func TestAClientGivesUpOnAServerThatDoesNotSpeakTLS(t *testing.T) {
	hello := nettest.ClientHello(t, "good.test")
	server := record(t, plainAnswer)
	r, asked := inspecting(t, server.addr, always)
	conn, err := r.dial(nettest.OpenHost + ":80")
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(nettest.Hang))
	conn.Write(hello)
	answer := make([]byte, len(plainAnswer))
	if _, err := io.ReadFull(conn, answer); err != nil {
		t.Fatalf("the answer: %q, %v", answer, err)
	}
	conn.Write([]byte{21, 3, 1, 0, 2, 2, 70})
	conn.CloseWrite()
	r.wait("the end of the flow", func(m told) bool { return m.T == "closed" && m.End == control.EndEOF })
	if got := server.heard(); got != string(hello) {
		t.Errorf("the server got %d bytes, want the hello's %d", len(got), len(hello))
	}
	if questions := asked(); len(questions) != 1 {
		t.Errorf("%d questions, want 1", len(questions))
	}
}

func TestASecondHelloIsJudgedBeforeItGoesOut(t *testing.T) {
	hello, evil := nettest.ClientHello(t, "good.test"), nettest.ClientHello(t, "evil.test")
	change := []byte{20, 3, 3, 0, 1, 1}
	early := []byte{23, 3, 3, 0, 3, 7, 7, 7}
	alert := []byte{21, 3, 1, 0, 2, 2, 70}
	isGood := func(data []byte) bool { return nettest.NameIn(data) == "good.test" }
	for _, row := range []struct {
		what   string
		answer []byte
		at     []byte // what the guest sends at once
		later  []byte // and when the server has answered
		passes bool
	}{
		{"of the same name", nettest.RetryRequest(1000), hello, hello, true},
		{"behind what may come first", nettest.RetryRequest(1000), slices.Concat(hello, change, early), slices.Concat(early, nettest.SplitRecords(hello, 50)), true},
		{"of another name", nettest.RetryRequest(1000), hello, evil, false},
		{"asked for in pieces", nettest.RetryRequest(3), hello, evil, false},
		{"asked for behind a warning", slices.Concat([]byte{21, 3, 3, 0, 2, 1, 112}, nettest.RetryRequest(1000)), hello, evil, false},
		{"behind a change_cipher_spec", nettest.RetryRequest(1000), hello, slices.Concat(change, evil), false},
		{"behind early data", nettest.RetryRequest(1000), slices.Concat(hello, change, early), evil, false},
		{"before it was asked for", nettest.RetryRequest(1000), slices.Concat(hello, evil), nil, false},
		{"in pieces", nettest.RetryRequest(1000), hello, nettest.SplitRecords(evil, 7), false},
		{"that is none", nettest.RetryRequest(1000), hello, []byte("GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n"), false},
		{"of the same name to a server that does not speak TLS", plainAnswer, hello, hello, false},
		{"and a request behind it, likewise", plainAnswer, hello, []byte("GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n"), false},
		{"and a request at once, likewise", plainAnswer, slices.Concat(hello, []byte("GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n")), nil, false},
		{"behind an alert, likewise", plainAnswer, hello, slices.Concat(alert, hello), false},
		{"that nobody asked for", []byte{22, 3, 3, 0, 38, 2, 0, 0, 34, 3, 3, 31: 9, 42: 0}, hello, evil, true},
		{"behind another message", []byte{22, 3, 3, 0, 4, 14, 0, 0, 0}, hello, evil, true},
	} {
		server := record(t, row.answer)
		r, asked := inspecting(t, server.addr, isGood)
		conn, err := r.dial(nettest.OpenHost + ":443")
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(nettest.Hang))
		conn.Write(row.at)
		_, cut := io.ReadFull(conn, make([]byte, len(row.answer)))
		if cut != nil && row.later != nil {
			t.Fatalf("%s: the answer: %v", row.what, cut)
		}
		conn.Write(row.later)
		want := string(hello)
		if row.passes {
			want = string(row.at) + string(row.later)
			nettest.Settle(t, row.what, func() bool { return server.heard() == want })
			conn.Close()
			continue
		}
		if cut == nil {
			_, cut = conn.Read(make([]byte, 1))
		}
		// The stack tells a reset once; who reads again is told of an end.
		if cut == nil || cut == io.EOF || cut == io.ErrUnexpectedEOF {
			t.Errorf("%s: the guest read on: %v", row.what, cut)
		}
		r.wait("the end of the flow", func(m told) bool { return m.T == "closed" && m.End == control.EndDenied })
		if got := server.heard(); got != want {
			t.Errorf("%s: the server got %d bytes, want the first hello's %d", row.what, len(got), len(want))
		}
		if questions := asked(); len(questions) != 2 {
			t.Errorf("%s: %d questions, want 2", row.what, len(questions))
		}
	}
}

func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{certificate}, PrivateKey: key}
}

// The real thing: a server that takes only a curve for which the client sent no share.
func TestAHandshakeWithARetrySucceeds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	config := &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}, CurvePreferences: []tls.CurveID{tls.CurveP384}}
	go nettest.Echoing(tls.NewListener(l, config))
	r, asked := inspecting(t, l.Addr(), func(data []byte) bool { return nettest.NameIn(data) == "good.test" })
	conn, err := r.dial(nettest.OpenHost + ":443")
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(nettest.Hang))
	client := tls.Client(conn, &tls.Config{ServerName: "good.test", InsecureSkipVerify: true})
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if !client.ConnectionState().HelloRetryRequest || len(asked()) != 2 {
		t.Errorf("retried: %v, questions: %d", client.ConnectionState().HelloRetryRequest, len(asked()))
	}
}

func TestAGuestThatLeavesBeforeItsHelloIsAnsweredIsForgotten(t *testing.T) {
	hello, evil := nettest.ClientHello(t, "good.test"), nettest.ClientHello(t, "evil.test")
	server := record(t, nil)
	r, _ := inspecting(t, server.addr, always)
	for what, leave := range map[string]func(*gonet.TCPConn){
		"it ends": func(conn *gonet.TCPConn) { conn.Close() },
		"it is killed": func(conn *gonet.TCPConn) {
			conn.Write(evil)
			for _, f := range r.g.flows.All() {
				f.Abort(control.EndKilled)
			}
		},
	} {
		conn, err := r.dial(nettest.OpenHost + ":443")
		if err != nil {
			t.Fatal(err)
		}
		before := len(server.heard())
		conn.Write(hello)
		nettest.Settle(t, what, func() bool { return len(server.heard()) == before+len(hello) })
		leave(conn)
		nettest.Settle(t, what, func() bool { return r.g.liveFlows() == 0 })
		if got := server.heard()[before:]; got != string(hello) {
			t.Errorf("%s: the server got more than the first hello: %d bytes", what, len(got))
		}
		conn.Close()
	}
}

package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/nettest"
)

const guestPort = 8000

// publishRig lets everybody in, and has published one port on both loopbacks.
func publishRig(t *testing.T, proto string) (r *rig, at4, at6 netip.AddrPort) {
	r = newRig(t, 1500, func(info control.FlowInfo) control.Message {
		if info.Dir == "inbound" {
			return control.Message{Action: control.Allow}
		}
		return control.Message{Action: control.Deny}
	})
	bound := func(ref int, bind string) netip.AddrPort {
		go r.say(control.Message{T: "publish", Ref: ref, Bind: bind, GuestPort: guestPort, Proto: proto})
		m := r.wait("the port", func(m told) bool { return m.T == "published" })
		return netip.AddrPortFrom(netip.MustParseAddr(m.Addr), m.Port)
	}
	return r, bound(1, "127.0.0.1"), bound(2, "::1")
}

var guestAddresses = []string{nettest.Guest.IP4, nettest.Guest.IP6}

func at(addr string) string {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), guestPort).String()
}

func TestPublishedTCPReachesAServerOfEitherFamily(t *testing.T) {
	for _, guest := range guestAddresses {
		r, at4, at6 := publishRig(t, "tcp")
		l, err := gonet.ListenTCP(r.guest, full(at(guest)), protocolOf(netip.MustParseAddr(guest)))
		if err != nil {
			t.Fatal(err)
		}
		go nettest.Echoing(l)
		for _, to := range []netip.AddrPort{at4, at6} {
			conn, err := net.Dial("tcp", to.String())
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(nettest.Hang))
			said := bytes.Repeat([]byte("x"), 1<<20)
			go func() { conn.Write(said); conn.(*net.TCPConn).CloseWrite() }()
			heard, err := io.ReadAll(conn)
			if err != nil || !bytes.Equal(heard, said) {
				t.Errorf("%s to %s: heard %d bytes, %v", to, guest, len(heard), err)
			}
			conn.Close()
		}
	}
}

func TestPublishedTCPWithoutAServerIsReset(t *testing.T) {
	r, at4, _ := publishRig(t, "tcp")
	conn, err := net.Dial("tcp", at4.String())
	if err != nil {
		t.Fatal(err)
	}
	r.answerUnheard(control.Message{T: "reach"})
	conn.SetDeadline(time.Now().Add(nettest.Hang))
	_, err = conn.Read(make([]byte, 1))
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("not reset: %v", err)
	}
	if end := r.wait("the end", func(m told) bool { return m.T == "closed" }); end.End != control.EndRefused {
		t.Errorf("ended as %q", end.End)
	}
}

// answerUnheard has sbx answer the next question about a connection that nobody listens for.
func (r *rig) answerUnheard(answer control.Message) {
	r.t.Helper()
	answer.ID = r.wait("the question", func(m told) bool { return m.T == "unheard" }).ID
	r.say(answer)
}

func TestPublishedTCPThatNobodyListensForGoesWhereSbxSays(t *testing.T) {
	const other = 45678
	r, at4, at6 := publishRig(t, "tcp")
	l, err := gonet.ListenTCP(r.guest, tcpip.FullAddress{NIC: 1, Addr: nettest.AddressOf(nettest.Guest.IP4), Port: other}, protocolOf(r.g.addrs.Guest4))
	if err != nil {
		t.Fatal(err)
	}
	go nettest.Echoing(l)
	for _, to := range []netip.AddrPort{at4, at6} {
		conn, err := net.Dial("tcp", to.String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(nettest.Hang))
		fmt.Fprint(conn, "hello")
		conn.(*net.TCPConn).CloseWrite()
		r.answerUnheard(control.Message{T: "reach", Port: other})
		if heard, err := io.ReadAll(conn); err != nil || string(heard) != "hello" {
			t.Errorf("to %s: heard %q, %v", to, heard, err)
		}
		conn.Close()
		want := netip.AddrPortFrom(r.g.addrs.Guest4, other).String()
		if m := r.wait("the opening", func(m told) bool { return m.T == "opened" }); m.Dial != want {
			t.Errorf("opened to %s, want %s", m.Dial, want)
		}
	}
}

func TestNobodyIsAskedForAGuestThatAnswersOrIsSilent(t *testing.T) {
	r, at4, _ := publishRig(t, "tcp")
	l, err := gonet.ListenTCP(r.guest, full(at(nettest.Guest.IP6)), protocolOf(r.g.addrs.Guest6))
	if err != nil {
		t.Fatal(err)
	}
	go nettest.Echoing(l)
	conn, err := net.Dial("tcp", at4.String())
	if err != nil {
		t.Fatal(err)
	}
	conn.(*net.TCPConn).CloseWrite()
	r.wait("the end of the first", func(m told) bool { return m.T == "closed" && m.End == control.EndEOF })
	conn.Close()
	l.Close()
	r.mute.Store(true) // over IPv4 nothing comes back any more
	if conn, err := net.Dial("tcp", at4.String()); err == nil {
		defer conn.Close()
	}
	if end := r.wait("the end", func(m told) bool { return m.T == "closed" }); end.End != control.EndRefused {
		t.Errorf("ended as %q", end.End)
	}
	if n := r.count("unheard"); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

func TestAGuestWithoutIPv6IsAskedAboutAsWell(t *testing.T) {
	r, at4, _ := publishRig(t, "tcp")
	r.guest.RemoveAddress(1, nettest.AddressOf(nettest.Guest.IP6))
	conn, err := net.Dial("tcp", at4.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r.answerUnheard(control.Message{T: "reach"})
	if end := r.wait("the end", func(m told) bool { return m.T == "closed" }); end.End != control.EndRefused {
		t.Errorf("ended as %q", end.End)
	}
}

func TestNoAnswerButReachLeadsAnywhere(t *testing.T) {
	const other = 45678
	r, at4, _ := publishRig(t, "tcp")
	l, err := gonet.ListenTCP(r.guest, tcpip.FullAddress{NIC: 1, Addr: nettest.AddressOf(nettest.Guest.IP4), Port: other}, protocolOf(r.g.addrs.Guest4))
	if err != nil {
		t.Fatal(err)
	}
	go nettest.Echoing(l)
	for _, answer := range []control.Message{
		{T: "verdict", Action: control.Allow, Dial: "127.0.0.1:1", Port: other},
		{T: "reach", Dial: "127.0.0.1:1", Bind: "127.0.0.1"},
		{T: "reach", Port: other + 1},
	} {
		conn, err := net.Dial("tcp", at4.String())
		if err != nil {
			t.Fatal(err)
		}
		r.answerUnheard(answer)
		if end := r.wait("the end", func(m told) bool { return m.T == "closed" }); end.End != control.EndRefused {
			t.Errorf("%+v: ended as %q", answer, end.End)
		}
		conn.Close()
	}
}

// Peers whom nobody listens for must not keep the guest from being asked about.
func TestACrowdThatNobodyListensForTakesNoPlaceOfNewFlows(t *testing.T) {
	r, at4, _ := publishRig(t, "tcp")
	for range control.MaxPending + 8 {
		conn, err := net.Dial("tcp", at4.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	nettest.Settle(t, "all of the questions", func() bool { return r.count("unheard") == control.MaxPending+8 })
}

// udpServer answers in the guest with the sender's stand-in and what it said.
func udpServer(r *rig, guest string) *gonet.UDPConn {
	r.t.Helper()
	own := full(at(guest))
	conn, err := gonet.DialUDP(r.guest, &own, nil, protocolOf(netip.MustParseAddr(guest)))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			conn.WriteTo(fmt.Appendf(nil, "%s %s", from, buf[:n]), from)
		}
	}()
	return conn
}

type udpPeer struct{ net.Conn }

func newPeer(t *testing.T, to netip.AddrPort) udpPeer {
	t.Helper()
	conn, err := net.Dial("udp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(nettest.Hang))
	return udpPeer{conn}
}

// ask says something and reads the one answer to it.
func (p udpPeer) ask(t *testing.T, what string) (from netip.AddrPort) {
	t.Helper()
	fmt.Fprint(p, what)
	buf := make([]byte, 2048)
	n, err := p.Read(buf)
	var standIn, heard string
	fmt.Sscan(string(buf[:n]), &standIn, &heard)
	if err != nil || heard != what {
		t.Fatalf("asked %q, heard %q, %v", what, buf[:n], err)
	}
	return netip.MustParseAddrPort(standIn)
}

func TestPublishedUDPReachesAServerOfEitherFamily(t *testing.T) {
	for _, guest := range guestAddresses {
		r, at4, at6 := publishRig(t, "udp")
		udpServer(r, guest)
		for _, to := range []netip.AddrPort{at4, at6} {
			peer := newPeer(t, to)
			first := peer.ask(t, "one")
			if again := peer.ask(t, "two"); again != first {
				t.Errorf("one peer is %s and %s", first, again)
			}
			if other := newPeer(t, to).ask(t, "three"); other == first {
				t.Errorf("two peers are %s", first)
			}
		}
	}
}

func TestPublishedUDPAnswersOnlyThoseWhoWrote(t *testing.T) {
	r, at4, _ := publishRig(t, "udp")
	server := udpServer(r, nettest.Guest.IP4)
	peer := newPeer(t, at4)
	standIn := peer.ask(t, "hello")
	// The neighbouring stand-in is nobody: what is sent there goes nowhere, and is no news.
	nobody := net.UDPAddrFromAddrPort(netip.AddrPortFrom(standIn.Addr(), standIn.Port()+1))
	server.WriteTo([]byte("unsolicited"), nobody)
	// Another port of the gateway is a flow of the guest's own, and judged.
	server.WriteTo([]byte("unsolicited"), net.UDPAddrFromAddrPort(netip.AddrPortFrom(standIn.Addr(), 9)))
	question := r.wait("the question", func(m told) bool { return m.T == "flow" && m.Dir == "outbound" })
	if question.Dport != 9 {
		t.Errorf("asked about port %d", question.Dport)
	}
	peer.ask(t, "again") // and nothing else is in its queue
}

func TestAUDPPortWithoutAServerIsToldOnceForEachPeer(t *testing.T) {
	r, at4, at6 := publishRig(t, "udp")
	for range 2 {
		for _, to := range []netip.AddrPort{at4, at6} {
			peer := newPeer(t, to)
			flow := r.wait("the peer", func(m told) bool { fmt.Fprint(peer, "anybody?"); return m.T == "flow" })
			unheard := r.wait("the word", func(m told) bool { return m.T == "unheard" })
			if unheard.ID != flow.ID {
				t.Errorf("told of flow %d, not of %d", unheard.ID, flow.ID)
			}
			for range 3 {
				fmt.Fprint(peer, "anybody?")
			}
		}
	}
	udpServer(r, nettest.Guest.IP6)
	newPeer(t, at4).ask(t, "somebody?")
	if n := r.count("unheard"); n != 4 {
		t.Errorf("told %d times of 4 peers", n)
	}
}

func TestPeersOfAPublishedUDPPortAreBounded(t *testing.T) {
	r, at4, _ := publishRig(t, "udp")
	udpServer(r, nettest.Guest.IP4)
	first := newPeer(t, at4)
	own := first.ask(t, "first")
	for i := range 4 * maxPeers {
		peer, err := net.Dial("udp", at4.String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(peer, "x")
		peer.Close()
		if i%64 == 0 {
			if now := first.ask(t, "still"); now != own { // one that is not idle is not displaced
				t.Fatalf("after %d others the first is %s, was %s", i, now, own)
			}
		}
	}
	nettest.Settle(t, "the bound", func() bool {
		r.g.udp.mu.Lock()
		defer r.g.udp.mu.Unlock()
		return len(r.g.udp.live) <= maxPeers
	})
	first.ask(t, "last")
}

func TestABusyPortIsTold(t *testing.T) {
	r, at4, _ := publishRig(t, "tcp")
	go r.say(control.Message{T: "publish", Ref: 3, Bind: at4.Addr().String(), Port: at4.Port(), GuestPort: 1, Proto: "tcp"})
	m := r.wait("the failure", func(m told) bool { return m.T == "publish-failed" })
	if m.Message == "" {
		t.Error("no message")
	}
}

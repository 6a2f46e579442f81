package main

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

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
)

const guestPort = 8000

// publishRig lets everybody in, and has published one port on both loopbacks.
func publishRig(t *testing.T, proto string) (r *rig, at4, at6 netip.AddrPort) {
	r = newRig(t, 1500, func(info flowInfo) fromSbx {
		if info.Dir == "inbound" {
			return fromSbx{Action: actionAllow}
		}
		return fromSbx{Action: actionDeny}
	})
	bound := func(ref int, bind string) netip.AddrPort {
		go r.say(fromSbx{T: "publish", Ref: ref, Bind: bind, GuestPort: guestPort, Proto: proto})
		m := r.wait("the port", func(m told) bool { return m.T == "published" })
		return netip.AddrPortFrom(netip.MustParseAddr(m.Addr), m.Port)
	}
	return r, bound(1, "127.0.0.1"), bound(2, "::1")
}

var guestAddresses = []string{testGuest.IP4, testGuest.IP6}

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
		go echoing(l)
		for _, to := range []netip.AddrPort{at4, at6} {
			conn, err := net.Dial("tcp", to.String())
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(hang))
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
	if err == nil { // or it was reset before Dial could look
		conn.SetDeadline(time.Now().Add(hang))
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("not reset: %v", err)
	}
	if end := r.wait("the end", func(m told) bool { return m.T == "closed" }); end.End != endRefused {
		t.Errorf("ended as %q", end.End)
	}
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
	conn.SetDeadline(time.Now().Add(hang))
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
	server := udpServer(r, testGuest.IP4)
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

func TestPeersOfAPublishedUDPPortAreBounded(t *testing.T) {
	r, at4, _ := publishRig(t, "udp")
	udpServer(r, testGuest.IP4)
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
	settle(t, "the bound", func() bool {
		r.g.udp.mu.Lock()
		defer r.g.udp.mu.Unlock()
		return len(r.g.udp.live) <= maxPeers
	})
	first.ask(t, "last")
}

func TestABusyPortIsTold(t *testing.T) {
	r, at4, _ := publishRig(t, "tcp")
	go r.say(fromSbx{T: "publish", Ref: 3, Bind: at4.Addr().String(), Port: at4.Port(), GuestPort: 1, Proto: "tcp"})
	m := r.wait("the failure", func(m told) bool { return m.T == "publish-failed" })
	if m.Message == "" {
		t.Error("no message")
	}
}

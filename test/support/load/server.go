package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// server is a server of the guest that listens in the one family of its address: over TCP it echoes, and ends
// its direction when the client ends the other; over UDP it answers with whom it sees, and what that said.
// It says "serving" when it listens, and ends when it is killed.
func server(o options) (any, error) {
	at, err := netip.ParseAddrPort(o.to)
	if err != nil {
		return nil, err
	}
	family := "4"
	if at.Addr().Is6() {
		family = "6"
	}
	l, err := net.Listen("tcp"+family, o.to)
	if err != nil {
		return nil, err
	}
	datagrams, err := net.ListenPacket("udp"+family, o.to)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, "serving")
	go answerPeers(datagrams)
	for {
		c, err := l.Accept()
		if err != nil {
			return nil, err
		}
		go func() {
			defer c.Close()
			io.Copy(c, struct{ io.Reader }{c})
		}()
	}
}

func answerPeers(c net.PacketConn) {
	buf := make([]byte, 65536)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		c.WriteTo(fmt.Appendf(nil, "%s %s", from, buf[:n]), from)
	}
}

// idle opens connections and says nothing on them; it holds them until it is killed.
func idle(o options) (any, error) {
	conns := make([]net.Conn, o.count)
	for i := range conns {
		c, err := net.DialTimeout("tcp", o.to, 3*patience)
		if err != nil {
			return nil, fmt.Errorf("connection %d: %w", i, err)
		}
		conns[i] = c
	}
	fmt.Fprintln(os.Stderr, "holding")
	time.Sleep(time.Hour)
	return nil, nil
}

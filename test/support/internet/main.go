// Command internet plays everything that a sandbox could reach: web, echo and bulk servers on every
// address of its network namespace, each of which records what came. It is driven over stdin and stdout
// with one JSON object a line, and ends when stdin does, so that a test that dies leaves nothing behind.
package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"
)

// config is the first line on stdin.
type config struct {
	// Capture names the interface whose incoming packets are tallied; empty for none.
	Capture string `json:"capture"`
	// Files is the directory that HTTP servers offer under /files/.
	Files     string     `json:"files"`
	Listeners []listener `json:"listeners"`
	// Zone is what listeners as "names" answer, Lies what they answer on one address instead.
	Zone zone            `json:"zone"`
	Lies map[string]zone `json:"lies"`
	// Members has what servers for members want, by their names.
	Members map[string]member `json:"members"`
}

type listener struct {
	Net string `json:"net"` // tcp or udp
	At  string `json:"at"`  // host:port; an empty host is every address
	As  string `json:"as"`  // http, https, tls, names, banner, echo, bulk, canary
}

type command struct {
	Do string `json:"do"` // report or reset
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "read-dns" {
		readMessages()
		return
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "internet:", err)
		os.Exit(1)
	}
}

func serve() error {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := json.NewEncoder(os.Stdout)
	var c config
	if err := in.Decode(&c); err != nil {
		return err
	}
	book := newBook()
	authority, err := newAuthority()
	if err != nil {
		return err
	}
	world := &servers{
		book: book, authority: authority, files: c.Files, members: c.Members,
		names: &names{book: book, zone: c.Zone, lies: c.Lies, turns: map[string]int{}},
	}
	if c.Capture != "" {
		if err := capture(c.Capture, book); err != nil {
			return err
		}
	}
	for _, l := range c.Listeners {
		if err := world.listen(l); err != nil {
			return err
		}
	}
	if err := out.Encode(map[string]string{"ca": authority.pem}); err != nil {
		return err
	}
	for {
		var cmd command
		if err := in.Decode(&cmd); err != nil {
			return nil
		}
		if book.catchUp != nil {
			book.catchUp()
		}
		report := book.report()
		if cmd.Do == "reset" {
			book.reset()
		}
		if err := out.Encode(report); err != nil {
			return err
		}
	}
}

func (s *servers) listen(l listener) error {
	if l.Net == "udp" {
		conn, err := net.ListenPacket("udp", l.At)
		if err != nil {
			return err
		}
		if l.As == "names" {
			go s.names.overUDP(conn.(*net.UDPConn))
		} else {
			go s.datagrams(conn.(*net.UDPConn), l.As == "echo")
		}
		return nil
	}
	accept, err := net.Listen("tcp", l.At)
	if err != nil {
		return err
	}
	accept = &recorder{Listener: accept, book: s.book}
	switch l.As {
	case "http":
		go s.web().Serve(accept)
	case "https":
		go s.web().ServeTLS(accept, "", "")
	case "tls":
		config := &tls.Config{GetCertificate: s.certificate, NextProtos: []string{"imap"}}
		go accepting(tls.NewListener(accept, config), s.greeting)
	default:
		serve, known := map[string]func(net.Conn){
			"banner": s.banner, "echo": s.echo, "bulk": s.bulk, "canary": s.canary, "names": s.names.overTCP,
		}[l.As]
		if !known {
			return fmt.Errorf("no such server: %s", l.As)
		}
		go accepting(accept, serve)
	}
	return nil
}

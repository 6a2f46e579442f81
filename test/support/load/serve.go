package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

const bulkBlock = 256 << 10

// serve plays the other side of measurements with as little work as can be: echo on port 7, bulk on port
// 9000, on every address; UDP echo on the address --to alone, so that answers come from where they are
// expected. What it carries is neither looked at nor written down. Ends with its stdin.
func serve(o options) (any, error) {
	for port, talk := range map[int]func(*net.TCPConn){7: echo, 9000: bulkServer} {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
		if err != nil {
			return nil, err
		}
		go func() {
			for {
				c, err := l.AcceptTCP()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					talk(c)
				}()
			}
		}()
	}
	datagrams, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(o.to), Port: 7})
	if err != nil {
		return nil, err
	}
	go echoDatagrams(datagrams)
	fmt.Println(`"serving"`)
	io.Copy(io.Discard, os.Stdin)
	return nil, nil
}

func echo(c *net.TCPConn) {
	b := make([]byte, 4096)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		c.Write(b[:n])
	}
}

func echoDatagrams(c *net.UDPConn) {
	b := make([]byte, 65536)
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		c.WriteToUDPAddrPort(b[:n], from)
	}
}

// bulkServer sends until the client has had enough (D), or reads to the end and answers how much came (U).
func bulkServer(c *net.TCPConn) {
	b := make([]byte, bulkBlock)
	if _, err := io.ReadFull(c, b[:1]); err != nil {
		return
	}
	if b[0] == 'D' {
		for {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}
	n, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{c}, b)
	if err == nil {
		c.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	}
}

// pour measures one stream to or from serve for a time. The clock stops when the receiver has the last byte.
func pour(o options) (any, error) {
	c, err := net.DialTimeout("tcp", o.to, patience)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	span := time.Duration(o.millis) * time.Millisecond
	c.SetDeadline(time.Now().Add(span + patience))
	var n int64
	b, start := make([]byte, bulkBlock), time.Now()
	if o.way == "down" {
		if _, err := c.Write([]byte{'D'}); err != nil {
			return nil, err
		}
		for time.Since(start) < span {
			got, err := c.Read(b)
			if err != nil {
				return nil, err
			}
			n += int64(got)
		}
		took := time.Since(start)
		c.(*net.TCPConn).SetLinger(0)
		return movedIn(n, nil, took), nil
	}
	b[0] = 'U'
	for sent := int64(0); time.Since(start) < span; {
		got, err := c.Write(b)
		if err != nil {
			return nil, err
		}
		sent += int64(got)
		n = sent - 1
	}
	c.(*net.TCPConn).CloseWrite()
	var count [8]byte
	if _, err := io.ReadFull(c, count[:]); err != nil {
		return nil, err
	}
	if got := int64(binary.BigEndian.Uint64(count[:])); got != n {
		return nil, errors.New("the server has another number of bytes than were sent")
	}
	return movedIn(n, nil, time.Since(start)), nil
}

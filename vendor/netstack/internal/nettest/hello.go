package nettest

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"
)

// ClientHello records what a real TLS client says first.
func ClientHello(t testing.TB, name string) []byte {
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

// SplitRecords cuts the one record of a hello into records of at most size bytes.
func SplitRecords(hello []byte, size int) []byte {
	var out []byte
	for body := hello[5:]; len(body) > 0; {
		n := min(size, len(body))
		out = append(out, hello[0], hello[1], hello[2])
		out = binary.BigEndian.AppendUint16(out, uint16(n))
		out = append(out, body[:n]...)
		body = body[n:]
	}
	return out
}

var errSeen = errors.New("that is all we wanted to know")

// ServerNameOf reads a hello as Go's server does.
func ServerNameOf(data []byte) (name string, ok bool) {
	server := tls.Server(bytesConn{bytes.NewReader(data)}, &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			name, ok = hello.ServerName, true
			return nil, errSeen
		},
	})
	server.Handshake()
	return name, ok
}

// bytesConn is a peer that says what it has to say and leaves.
type bytesConn struct{ *bytes.Reader }

// NameIn is the name in a hello, as Go's server reads it; "?" when it reads none.
func NameIn(data []byte) string {
	name, ok := ServerNameOf(data)
	if !ok {
		return "?"
	}
	return name
}

// RetryRequest is what a server says that wants another hello, in records of so many bytes.
func RetryRequest(size int) []byte {
	random := sha256.Sum256([]byte("HelloRetryRequest")) // RFC 8446 4.1.3
	body := append([]byte{3, 3}, random[:]...)
	body = append(body, 0, 0x13, 1, 0, 0, 12)
	body = append(body, 0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 23)
	message := append([]byte{2, 0, 0, byte(len(body))}, body...)
	return SplitRecords(append([]byte{22, 3, 3, 0, 0}, message...), size)
}

func (bytesConn) Write(p []byte) (int, error) { return len(p), nil }

func (bytesConn) Close() error { return nil }

func (bytesConn) LocalAddr() net.Addr { return &net.TCPAddr{} }

func (bytesConn) RemoteAddr() net.Addr { return &net.TCPAddr{} }

func (bytesConn) SetDeadline(time.Time) error { return nil }

func (bytesConn) SetReadDeadline(t time.Time) error { return nil }

func (bytesConn) SetWriteDeadline(t time.Time) error { return nil }

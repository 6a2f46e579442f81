package main

import (
	"io"
	"net"
	"strconv"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// forwardChannel answers "direct-tcpip" (RFC 4254 7.2): a connection from the guest to where the client
// says. What the guest reaches, its own network decides. Each direction ends by itself, as a client that has
// said all still waits for its answer.
func forwardChannel(_ *ssh.Server, _ *gossh.ServerConn, asked gossh.NewChannel, _ ssh.Context) {
	var to struct {
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}
	if err := gossh.Unmarshal(asked.ExtraData(), &to); err != nil {
		asked.Reject(gossh.ConnectionFailed, "the request is malformed")
		return
	}
	conn, err := net.Dial("tcp", net.JoinHostPort(to.Host, strconv.FormatUint(uint64(to.Port), 10)))
	if err != nil {
		asked.Reject(gossh.ConnectionFailed, err.Error())
		return
	}
	channel, requests, err := asked.Accept()
	if err != nil {
		conn.Close()
		return
	}
	go gossh.DiscardRequests(requests)
	join(channel, conn.(*net.TCPConn))
}

func join(channel gossh.Channel, conn *net.TCPConn) {
	said := make(chan struct{})
	go func() {
		defer close(said)
		io.Copy(conn, channel)
		conn.CloseWrite()
	}()
	if _, err := io.Copy(channel, conn); err != nil { // the server broke off, or the client is gone
		conn.SetLinger(0)
		conn.Close()
	}
	channel.CloseWrite()
	<-said
	conn.Close()
	channel.Close()
}

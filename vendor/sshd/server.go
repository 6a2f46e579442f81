package main

import (
	"io"
	"net"
	"os"

	"github.com/gliderlabs/ssh"
	"github.com/pkg/sftp"
	gossh "golang.org/x/crypto/ssh"
)

// serve has one connection, until it is over or somebody hangs up. Its commands have been told so then.
func serve(k keys, conn net.Conn, hungUp <-chan os.Signal) {
	var commands running
	over := make(chan struct{})
	go func() {
		defer close(over)
		newServer(k, &commands).HandleConn(conn)
	}()
	select {
	case <-over:
	case <-hungUp: // a read of standard input would go on
	}
	commands.hangUp()
	conn.Close()
}

// newServer serves commands, terminals, sftp and forwarding into the guest. What would lead out of it is
// not offered: an untrusted guest has nothing to sign with the keys of the client's agent (-A), and no
// port of the client's side to reach around its policy (-R).
func newServer(k keys, commands *running) *ssh.Server {
	server := &ssh.Server{
		Version: "sbx",
		Handler: commands.serveSession,
		// Who is asked for is decided by whoever started this process; all names are him.
		PublicKeyHandler: func(_ ssh.Context, key ssh.PublicKey) bool { return ssh.KeysEqual(key, k.client) },
		ChannelHandlers: map[string]ssh.ChannelHandler{
			"session":      ssh.DefaultSessionHandler,
			"direct-tcpip": forwardChannel,
		},
		RequestHandlers:   map[string]ssh.RequestHandler{keepAlive: alive},
		SubsystemHandlers: map[string]ssh.SubsystemHandler{"sftp": serveFiles},
	}
	server.AddHostKey(k.host)
	return server
}

// keepAlive is what OpenSSH's client asks with ServerAliveInterval, to hear any answer.
const keepAlive = "keepalive@openssh.com"

func alive(ssh.Context, *ssh.Server, *gossh.Request) (bool, []byte) { return true, nil }

func serveFiles(session ssh.Session) {
	home, _ := os.Getwd()
	server, err := sftp.NewServer(session, sftp.WithServerWorkingDirectory(home))
	if err == nil {
		err = server.Serve()
	}
	if err != nil && err != io.EOF {
		session.Exit(1)
		return
	}
	session.Exit(0)
}

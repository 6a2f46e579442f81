// Command sshd serves one SSH connection on its standard streams, inside a guest, as whoever runs it.
//
// sbx starts it over the host-guest channel for each `sbx ssh`, so nothing in the guest listens, no
// network is needed, and what it may do is what its user may. The first line that it reads names the
// keys of the connection:
//
//	{"hostKey": an OpenSSH private key, "clientKey": a line as of authorized_keys}
//
// Both are of this one sandbox. SSH follows on the next byte.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "sshd:", err)
		os.Exit(1)
	}
}

func run() error {
	conn := newStdio(os.Stdin, os.Stdout)
	keys, err := readKeys(conn)
	if err != nil {
		return err
	}
	hungUp := make(chan os.Signal, 1)
	signal.Notify(hungUp, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	serve(keys, conn, hungUp)
	return nil
}

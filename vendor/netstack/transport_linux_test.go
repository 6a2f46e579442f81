package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"sbx.dev/netstack/internal/link"
	"sbx.dev/netstack/internal/nettest"
)

// listening starts a configured netstack that waits for its guest on a path.
func listening(t *testing.T, flag, url string) {
	t.Helper()
	ours, theirs := channels(t)
	command := netstackCommand(theirs)
	command.Args = append(command.Args, flag, url)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ours[0].Close()
		nettest.MustEnd(t, command)
		if stderr.Len() > 0 {
			t.Errorf("it said: %s", &stderr)
		}
	})
	ours[0].Write(configMessage())
}

// mustLease asks for an address over the cable, and reads the answer.
func mustLease(t *testing.T, send func([]byte), receive func() ([]byte, error)) {
	t.Helper()
	send(nettest.DhcpFrame(nettest.DhcpMessage(link.DhcpDiscover)))
	frame, err := receive()
	if err != nil {
		t.Fatal(err)
	}
	message := dhcpReply(frame)
	if len(message) < link.DhcpHead || net.IP(message[16:20]).String() != nettest.Guest.IP4 || message[4] != 0xde {
		t.Errorf("no offer in %x", frame)
	}
}

func dhcpReply(frame []byte) []byte {
	const at = header.EthernetMinimumSize + header.IPv4MinimumSize + header.UDPMinimumSize
	if len(frame) < at {
		return nil
	}
	return frame[at:]
}

func TestQEMUConnectsToAPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net.sock")
	listening(t, "--listen", "unix://"+path)
	var conn net.Conn
	nettest.Settle(t, "the path", func() (there bool) {
		var err error
		conn, err = net.Dial("unix", path)
		return err == nil
	})
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(nettest.Hang))
	mustLease(t, func(frame []byte) {
		conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
	}, func() ([]byte, error) {
		return link.NewStream(conn).ReadFrame()
	})
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("the path stays, and a second guest could connect")
	}
}

func TestVfkitConnectsToAPath(t *testing.T) {
	directory := t.TempDir()
	path, own := filepath.Join(directory, "net.sock"), filepath.Join(directory, "vfkit.sock")
	listening(t, "--listen-vfkit", "unixgram://"+path)
	var conn *net.UnixConn
	nettest.Settle(t, "the path", func() bool {
		os.Remove(own)
		var err error
		conn, err = net.DialUnix("unixgram", &net.UnixAddr{Name: own, Net: "unixgram"}, &net.UnixAddr{Name: path, Net: "unixgram"})
		return err == nil
	})
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(nettest.Hang))
	fmt.Fprint(conn, "VFKT")
	lease := func() {
		mustLease(t, func(frame []byte) { conn.Write(frame) }, func() ([]byte, error) {
			buf := make([]byte, link.MaxFrame)
			n, err := conn.Read(buf)
			return buf[:n], err
		})
	}
	lease()
	for _, junk := range [][]byte{{}, {1}, make([]byte, 13), make([]byte, link.MaxFrame), []byte("VFKT")} {
		conn.Write(junk)
	}
	// Somebody else who finds the path is not the guest.
	stranger, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	forged := nettest.DhcpMessage(link.DhcpDiscover)
	copy(forged[4:], "evil")
	stranger.Write(nettest.DhcpFrame(forged))
	lease()
}

func TestAPathThatCannotBeIsTold(t *testing.T) {
	for _, args := range [][]string{
		{"--listen", "unix:///nowhere/at/all.sock"},
		{"--listen", "tcp4://nowhere"},
		{"--listen-vfkit", "unixgram:///nowhere/at/all.sock"},
	} {
		ours, theirs := channels(t)
		command := nettest.Itself("netstack", append([]string{"serve"}, args...)...)
		command.ExtraFiles = theirs
		ours[0].Write(configMessage())
		out, err := command.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("netstack: ")) || bytes.Contains(out, []byte("goroutine")) {
			t.Errorf("%v: %v, %s", args, err, out)
		}
	}
}

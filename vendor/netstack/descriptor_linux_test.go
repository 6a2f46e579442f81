package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sbx.dev/netstack/internal/link"
	"sbx.dev/netstack/internal/nettest"
)

// vz plays Lima's VZ driver: it connects, and hands descriptors over.
func vz(t *testing.T, path string, fds ...int) *net.UnixConn {
	t.Helper()
	var conn net.Conn
	nettest.Settle(t, "the path", func() bool {
		var err error
		conn, err = net.Dial("unix", path)
		return err == nil
	})
	t.Cleanup(func() { conn.Close() })
	if _, _, err := conn.(*net.UnixConn).WriteMsgUnix([]byte{0}, syscall.UnixRights(fds...), nil); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.UnixConn)
}

func pair(t *testing.T, kind int) [2]int {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		t.Cleanup(func() { syscall.Close(fd) })
	}
	return fds
}

func TestVZHandsTheCableOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fd.sock")
	listening(t, "--listen-descriptor", "unix://"+path)
	ends := pair(t, syscall.SOCK_DGRAM)
	vz(t, path, ends[0]).Close()
	conn, err := net.FileConn(os.NewFile(uintptr(ends[1]), ""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(nettest.Hang))
	lease := func() {
		mustLease(t, func(frame []byte) { conn.Write(frame) }, func() ([]byte, error) {
			buf := make([]byte, link.MaxFrame)
			n, err := conn.Read(buf)
			return buf[:n], err
		})
	}
	lease()
	for _, junk := range [][]byte{{}, {1}, make([]byte, 13), make([]byte, link.MaxFrame)} {
		conn.Write(junk)
	}
	lease()
	if _, err := net.Dial("unix", path); err == nil {
		t.Error("a second guest could connect")
	}
}

// One who hands over anything else gets no network, and neither does anybody after him.
func TestWhatIsNoEndOfAPairIsNoCable(t *testing.T) {
	named := func(t *testing.T) int {
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "x"), Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		file, err := conn.File()
		if err != nil {
			t.Fatal(err)
		}
		return int(file.Fd())
	}
	for name, row := range map[string]struct {
		fds  func(t *testing.T) []int
		says string
	}{
		"none":            {func(t *testing.T) []int { return nil }, "0 descriptors were handed over"},
		"two":             {func(t *testing.T) []int { p := pair(t, syscall.SOCK_DGRAM); return p[:] }, "2 descriptors were handed over"},
		"more than fit":   {func(t *testing.T) []int { return make([]int, 12) }, "which are to be one"},
		"a stream":        {func(t *testing.T) []int { p := pair(t, syscall.SOCK_STREAM); return p[:1] }, "no datagram socket"},
		"a file":          {func(t *testing.T) []int { return []int{0} }, "no datagram socket"},
		"a named socket":  {func(t *testing.T) []int { return []int{named(t)} }, "no end of a pair"},
		"a socket on IP":  {func(t *testing.T) []int { return []int{udp(t)} }, "no end of a pair"},
		"a socket of one": {func(t *testing.T) []int { return []int{single(t)} }, "no end of a pair"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "fd.sock")
			ours, theirs := channels(t)
			command := nettest.Itself("netstack", "serve", "--listen-descriptor", "unix://"+path)
			command.ExtraFiles = theirs
			var said strings.Builder
			command.Stderr = &said
			ours[0].Write(configMessage())
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			vz(t, path, row.fds(t)...)
			if err := command.Wait(); err == nil || !strings.Contains(said.String(), row.says) {
				t.Errorf("%v, %s", err, said.String())
			}
		})
	}
}

func udp(t *testing.T) int { return socket(t, syscall.AF_INET) }

func single(t *testing.T) int { return socket(t, syscall.AF_UNIX) }

func socket(t *testing.T, family int) int {
	t.Helper()
	fd, err := syscall.Socket(family, syscall.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	return fd
}

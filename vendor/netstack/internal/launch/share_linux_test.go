package launch

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"sbx.dev/netstack/internal/nettest"
)

// Told that it is served, a daemon of one line says what it has, through its one connection.
const says = `
import os, socket
server = socket.socket(fileno=3)
client, _ = server.accept()
def can(what, *args):
    try: what(*args); return "can"
    except OSError as e: return os.strerror(e.errno)
def words(name):
    return next(l.split()[1] for l in open("/proc/self/status") if l.startswith(name))
client.send("|".join([
    " ".join(sorted(os.listdir("/tmp"))),
    can(open, "/tmp/made", "w"),
    can(os.mknod, "/tmp/device", 0o20600, 0),
    socket.if_nameindex()[0][1] + str(len(socket.if_nameindex())),
    can(os.setresuid, 1234, 1234, 1234) + str(os.getuid() != 1234),
    words("NoNewPrivs"),
]).encode())
client.recv(1)
`

// shared starts the daemon for a directory and answers what it said, or the error.
func shared(t *testing.T, directory, path string, options ...string) (string, error) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), ""), os.NewFile(uintptr(pair[1]), "")
	defer ours.Close()
	opened, err := os.Open(directory)
	if err != nil {
		t.Fatal(err)
	}
	argv := append([]string{"share", "--path", path}, options...)
	command := nettest.Itself("netstack", append(argv, "--", "/usr/bin/python3", "-c", says)...)
	command.ExtraFiles = []*os.File{theirs, opened}
	var words strings.Builder
	command.Stderr = &words
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	opened.Close()
	defer command.Wait()
	if err := receiveOne(int(ours.Fd())); err != nil {
		ours.Close()
		command.Wait()
		return "", fmt.Errorf("%w: %s", err, words.String())
	}
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	ours.Close() // the daemon waits for the end of the last one
	defer conn.Close()
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, words.String())
	}
	return string(answer[:n]), nil
}

func TestAFileDaemonHasItsDirectoryAndNothingElse(t *testing.T) {
	directory := t.TempDir()
	os.WriteFile(filepath.Join(directory, "file"), nil, 0o644)
	for _, test := range []struct {
		options []string
		made    string
	}{
		{[]string{"--read-only"}, "Read-only file system"},
		{nil, "can"},
	} {
		got, err := shared(t, directory, directory, test.options...)
		// Becoming somebody else succeeds, and does nothing.
		want := "file|" + test.made + "|Operation not permitted|lo1|canTrue|1"
		if err != nil || got != want {
			t.Errorf("%v: got %q, %v, want %q", test.options, got, err, want)
		}
	}
}

func TestADirectoryThatWasReplacedIsNotShared(t *testing.T) {
	place := t.TempDir()
	was, is := filepath.Join(place, "was"), filepath.Join(place, "is")
	for _, path := range []string{was, is} {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(was, filepath.Join(place, "link")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{is, filepath.Join(place, "link"), filepath.Join(place, "none")} {
		if got, err := shared(t, was, path); err == nil {
			t.Errorf("%s: shared, %q", path, got)
		}
	}
	if _, err := shared(t, was, was); err != nil {
		t.Error(err)
	}
}

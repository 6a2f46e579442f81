package launch

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"sbx.dev/netstack/internal/nettest"
)

// pair is two connected sockets, the second one for another process.
func pair(t *testing.T, flags int) (int, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "")
	t.Cleanup(func() {
		unix.Close(fds[0])
		theirs.Close()
	})
	return fds[0], theirs
}

// What takes time, as on a machine that is emulated or busy, is here the wait for what is handed over. An input
// that does not block is one that Go's runtime would be told about.
func TestALaunchThatTakesLongEndsWithTheDescriptorsThatAreKept(t *testing.T) {
	_, stdin := pair(t, unix.SOCK_NONBLOCK)
	ours, through := pair(t, 0)
	_, other := pair(t, 0)
	const has = "import os; print([fd for fd in range(99) if os.path.exists(f'/proc/self/fd/{fd}')])"
	command := nettest.Itself("netstack", "launch", "--reads", "/proc", "--keep", "3", "--receive", "3",
		"--", "/usr/bin/python3", "-c", has)
	command.Stdin = stdin
	command.ExtraFiles = []*os.File{through, other}
	var said strings.Builder
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	if err := unix.Sendmsg(ours, []byte{0}, unix.UnixRights(ours), nil, 0); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil || said.String() != "[0, 1, 2, 3]\n" {
		t.Errorf("%v: %s", err, said.String())
	}
}

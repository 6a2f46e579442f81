package nettest

import (
	"os/exec"
	"testing"
	"time"
)

// Hang guards tests against waiting for ever; nothing is measured with it.
const Hang = time.Minute

// Settle waits until a condition holds.
func Settle(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(Hang); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// MustEnd waits for the end of a netstack that nobody may be able to end any more.
func MustEnd(t *testing.T, command *exec.Cmd) {
	t.Helper()
	ended := make(chan struct{})
	go func() { command.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(Hang):
		command.Process.Kill()
		t.Error("it lives on")
	}
}

package process

import (
	"os/exec"
	"testing"
	"time"

	"sbx.dev/netstack/internal/nettest"
)

func started(t *testing.T) (*exec.Cmd, *Other) {
	t.Helper()
	command := exec.Command("sleep", "1000")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command.Process.Kill(); command.Wait() })
	other, err := Open(command.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return command, other
}

func waiting(other *Other) <-chan error {
	over := make(chan error, 1)
	go func() { over <- other.Wait() }()
	return over
}

func TestAnotherProcessIsKilled(t *testing.T) {
	command, other := started(t)
	other.Kill()
	nettest.MustEnd(t, command)
}

func TestTheEndOfAnotherProcessIsHeard(t *testing.T) {
	command, other := started(t)
	over := waiting(other)
	select {
	case err := <-over:
		t.Fatalf("it runs, and its end is told: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	command.Process.Kill()
	select {
	case err := <-over: // nobody has asked for its status: it is a zombie
		if err != nil {
			t.Error(err)
		}
	case <-time.After(nettest.Hang):
		t.Fatal("its end is not told")
	}
	if err := <-waiting(other); err != nil {
		t.Errorf("its end is told once: %v", err)
	}
	other.Kill()
}

func TestAProcessThatHasEndedIsNoError(t *testing.T) {
	command, _ := started(t)
	pid := command.Process.Pid
	command.Process.Kill()
	command.Wait()
	other, err := Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	other.Kill()
	if err := <-waiting(other); err != nil {
		t.Error(err)
	}
}

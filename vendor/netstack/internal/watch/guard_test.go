package watch

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"sbx.dev/netstack/internal/nettest"
)

// startGuard starts one over two processes, and returns once it watches.
func startGuard(t *testing.T) (guard, parent, program *exec.Cmd) {
	t.Helper()
	for _, command := range []**exec.Cmd{&parent, &program} {
		*command = exec.Command("sleep", "1000")
		if err := (*command).Start(); err != nil {
			t.Fatal(err)
		}
		started := *command
		t.Cleanup(func() { started.Process.Kill() })
	}
	guard, ready := guardOf(t, parent.Process.Pid, program.Process.Pid)
	if said, err := io.ReadAll(ready); err != nil || len(said) != 1 {
		t.Fatalf("it does not watch: %v, %v", said, err)
	}
	return guard, parent, program
}

func guardOf(t *testing.T, parent, program int) (*exec.Cmd, *os.File) {
	t.Helper()
	ready, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	guard := nettest.Itself("netstack", "guard", "--parent", strconv.Itoa(parent), "--program", strconv.Itoa(program))
	guard.ExtraFiles = []*os.File{theirs}
	if err := guard.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { guard.Process.Kill() })
	theirs.Close()
	return guard, ready
}

func TestTheEndOfTheStarterEndsTheProgram(t *testing.T) {
	guard, parent, program := startGuard(t)
	parent.Process.Kill()
	nettest.MustEnd(t, program)
	nettest.MustEnd(t, guard)
}

func TestTheEndOfTheProgramEndsTheGuardAndNobodyElse(t *testing.T) {
	guard, parent, program := startGuard(t)
	program.Process.Kill()
	nettest.MustEnd(t, guard)
	over := make(chan struct{})
	go func() { parent.Wait(); close(over) }()
	select {
	case <-over:
		t.Error("the starter was ended")
	case <-time.After(50 * time.Millisecond):
	}
}

func TestAStarterThatIsGoneEndsTheProgram(t *testing.T) {
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	program := exec.Command("sleep", "1000")
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Process.Kill() })
	guard, _ := guardOf(t, gone.Process.Pid, program.Process.Pid)
	nettest.MustEnd(t, program)
	nettest.MustEnd(t, guard)
}

func TestAGuardOfNobodyIsNotReady(t *testing.T) {
	for _, pids := range [][2]int{{0, 1}, {1, 0}, {-1, 5}, {5, -1}} {
		guard, ready := guardOf(t, pids[0], pids[1])
		if said, err := io.ReadAll(ready); err != nil || len(said) != 0 {
			t.Errorf("%s: it says %v, %v", fmt.Sprint(pids), said, err)
		}
		if guard.Wait() == nil {
			t.Errorf("%v: it ends well", pids)
		}
	}
}

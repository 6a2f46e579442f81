package watch

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sbx.dev/netstack/internal/nettest"
)

// dog is a watchdog whose steps the test makes, and a machine for it.
type dog struct {
	t       *testing.T
	words   chan string
	steps   chan time.Time
	stopped atomic.Bool
	parent  atomic.Int32 // times that sbx was ended
	machine *exec.Cmd
	ended   chan struct{} // the machine has
	over    chan error    // the watchdog has
}

func startDog(t *testing.T, endParent bool) *dog {
	d := &dog{
		t: t, words: make(chan string), steps: make(chan time.Time), machine: exec.Command("sleep", "1000"),
		ended: make(chan struct{}), over: make(chan error, 1),
	}
	if err := d.machine.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.machine.Process.Kill() })
	go func() { d.machine.Wait(); close(d.ended) }()
	w := newWatchdog(d.stopped.Load)
	if endParent {
		w.endParent = func() { d.parent.Add(1) }
	}
	go func() { d.over <- w.run(d.words, d.steps) }()
	d.words <- "machine " + strconv.Itoa(d.machine.Process.Pid)
	return d
}

func (d *dog) pass(steps int) {
	for range steps {
		d.steps <- time.Time{}
	}
}

func (d *dog) lives() {
	d.t.Helper()
	d.pass(1) // what came before has been done
	select {
	case <-d.ended:
		d.t.Fatal("the machine was ended")
	case <-time.After(20 * time.Millisecond):
	}
}

func (d *dog) mustEnd() {
	d.t.Helper()
	select {
	case <-d.ended:
	case <-time.After(nettest.Hang):
		d.t.Fatal("the machine lives on")
	}
}

func TestSilenceEndsTheMachineAndAWordDoesNot(t *testing.T) {
	d := startDog(t, true)
	for range 3 {
		d.pass(machineSteps - 2)
		d.lives()
		d.words <- "alive"
	}
	d.pass(machineSteps)
	d.mustEnd()
}

func TestAStoppedSbxIsNotOneThatHangs(t *testing.T) {
	d := startDog(t, true)
	d.stopped.Store(true)
	d.pass(10 * machineSteps)
	d.stopped.Store(false)
	d.lives()
	d.words <- "limit 1 1" // but its limits hold
	d.mustEnd()
	d.stopped.Store(true)
	d.pass(10 * machineSteps)
	if d.parent.Load() != 0 {
		t.Error("a stopped sbx was ended")
	}
}

func TestOnlyAnSbxThatHangsOnIsEnded(t *testing.T) {
	for name, test := range map[string]struct {
		endParent bool
		then      func(*dog)
		want      int32
	}{
		"it hangs on":             {true, func(d *dog) { d.pass(parentSteps) }, 1},
		"it speaks again":         {true, func(d *dog) { d.pass(parentSteps - 1); d.words <- "alive"; d.pass(1); close(d.words) }, 0},
		"it is not to be":         {false, func(d *dog) { d.pass(10 * parentSteps); close(d.words) }, 0},
		"it ends in the meantime": {true, func(d *dog) { close(d.words) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := startDog(t, test.endParent)
			d.pass(machineSteps)
			d.mustEnd()
			test.then(d)
			if err := <-d.over; err != nil {
				t.Error(err)
			}
			if got := d.parent.Load(); got != test.want {
				t.Errorf("sbx was ended %d times, want %d", got, test.want)
			}
		})
	}
}

func TestALimitThatIsLiftedEndsNothing(t *testing.T) {
	d := startDog(t, false)
	d.words <- "limit a 50"
	d.words <- "limit b 60000"
	d.words <- "lift a"
	d.words <- "lift never-set"
	time.Sleep(100 * time.Millisecond)
	d.lives()
	d.words <- "limit b 1"
	d.mustEnd()
}

func TestAnythingElseEndsTheMachine(t *testing.T) {
	for _, word := range []string{"", "hello", "alive and well", "machine 1", "machine -1", "machine x",
		"limit 1", "limit 1 -1", "limit 1 1e3", "limit 1 99999999999999", "lift", "lift 1 2"} {
		d := startDog(t, false)
		d.words <- word
		d.mustEnd()
		if err := <-d.over; err == nil {
			t.Errorf("%q is no error", word)
		}
	}
}

// The program itself, with the processes that it is about.
func TestTheEndOfSbxEndsTheMachine(t *testing.T) {
	machine := exec.Command("sleep", "1000")
	if err := machine.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { machine.Process.Kill() })
	command := nettest.Itself("netstack", "watch", "--parent", strconv.Itoa(os.Getpid()))
	words, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(words, "machine %d\nalive\n", machine.Process.Pid)
	words.Close()
	nettest.MustEnd(t, machine)
	nettest.MustEnd(t, command)
}

func TestAWatchdogWhoseParentIsAnotherDoesNotServe(t *testing.T) {
	command := nettest.Itself("netstack", "watch", "--parent", strconv.Itoa(os.Getppid()))
	if out, err := command.CombinedOutput(); err == nil {
		t.Errorf("it served, and said %q", out)
	}
}

func TestAStoppedProcessIsSeen(t *testing.T) {
	command := exec.Command("cat") // which waits for its input
	command.Stdin, _ = io.Pipe()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command.Process.Kill() })
	pid := command.Process.Pid
	if stopped(pid) {
		t.Error("it is not stopped")
	}
	command.Process.Signal(syscall.SIGSTOP)
	nettest.Settle(t, "the stop", func() bool { return stopped(pid) })
}

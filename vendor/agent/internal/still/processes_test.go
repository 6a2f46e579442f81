package still

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/nstest"
)

// counter makes the file that it is given longer and longer, with pauses.
const counter = `while :; do echo >>"$0"; sleep 0.01; done`

func TestProcessesStandStillAndGoOnWhereTheyWere(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("control groups of its own need real root")
	}
	if !nstest.Run(t, syscall.CLONE_NEWNS) {
		return
	}
	all := t.TempDir()
	if err := unix.Mount("none", all, "cgroup2", 0, ""); err != nil {
		t.Skipf("this machine gives no control groups: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(all, 0) })
	root, err := os.MkdirTemp(all, "sbx-still-test-")
	if err != nil {
		t.Fatal(err)
	}
	inner := filepath.Join(root, "inner")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0); err != nil {
			t.Fatal(err)
		}
	}
	begin := func(group string) (file, pid string) {
		file = filepath.Join(t.TempDir(), "count")
		child := exec.Command("sh", "-c", counter, file)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		pid = strconv.Itoa(child.Process.Pid)
		write(filepath.Join(group, "cgroup.procs"), pid)
		t.Cleanup(func() {
			child.Process.Kill()
			child.Wait()
		})
		return file, pid
	}
	t.Cleanup(func() { os.Remove(inner); os.Remove(root) }) // after the processes
	outside, outsider := begin(root)
	inside, insider := begin(inner)
	count := func(file string) int {
		text, _ := os.ReadFile(file)
		return len(text)
	}
	awaitMore := func(file string, than int) {
		t.Helper()
		for end := time.Now().Add(time.Minute); count(file) <= than; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it does not go on")
			}
		}
	}
	// Goes from one new group to the next, as fast as it can.
	moving := exec.Command("sh", "-c", `while :; do n=$((n+1)); mkdir "$0/moving$n"; echo $$ >"$0/moving$n/cgroup.procs"; echo >>"$1"
		rmdir "$0/moving$((n-1))" 2>/dev/null; done`, root, filepath.Join(t.TempDir(), "count"))
	mover := moving.Args[4]
	if err := moving.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		moving.Process.Kill()
		moving.Wait()
		left, _ := filepath.Glob(filepath.Join(root, "moving*"))
		for _, each := range left {
			os.Remove(each)
		}
	})
	awaitMore(outside, 0)
	awaitMore(inside, 0)
	awaitMore(mover, 0)
	stands, err := freezeBelow(root)
	if err != nil {
		t.Fatal(err)
	}
	before := []int{count(outside), count(inside), count(mover)}
	if state := stateOf(t, outsider); strings.HasPrefix(state, "T") {
		t.Error("it was stopped by a signal, which others see")
	}
	time.Sleep(50 * time.Millisecond) // in which each would count on
	if after := []int{count(outside), count(inside), count(mover)}; !slices.Equal(after, before) {
		t.Errorf("from %v to %v", before, after)
	}
	if err := stands.Thaw(); err != nil {
		t.Fatal(err)
	}
	awaitMore(outside, before[0])
	awaitMore(inside, before[1])
	awaitMore(mover, before[2])
	for group, pid := range map[string]string{root: outsider, inner: insider} {
		members, _ := os.ReadFile(filepath.Join(group, "cgroup.procs"))
		if !strings.Contains("\n"+string(members), "\n"+pid+"\n") {
			t.Errorf("%s has %q", group, members)
		}
	}
	if _, err := os.Stat(filepath.Join(root, own)); !os.IsNotExist(err) {
		t.Errorf("something is left: %v", err)
	}
}

func TestAProcessIsTheKernelsByItsFlagsAlone(t *testing.T) {
	const rest = " 4194560 0 0 0 0 0 0 0 0 20 0 1 0 77 "
	for text, want := range map[string]stat{
		"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 5 0": {isKernels: true, started: "5"},
		"9 (sh) S 1 9 9 0 -1" + rest:                                     {started: "77"},
		// Its name, and the number of its process group, look like flags.
		"9 (a) 1 1 1 1) S 1 2097152 9 0 -1" + rest: {started: "77"},
		"9 (sh) S": {},
		"":         {},
	} {
		if got := parseStat(text); got != want {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func stateOf(t *testing.T, pid string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return rest
}

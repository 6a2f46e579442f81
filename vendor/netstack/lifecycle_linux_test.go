package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/nettest"
)

// The test binary is netstack itself, or a parent that starts one and waits.
func TestMain(m *testing.M) {
	nettest.Play(m, map[string]func(){
		"netstack": main,
		"parent": func() {
			child := netstackCommand([]*os.File{os.NewFile(3, ""), os.NewFile(4, ""), os.NewFile(5, "")})
			if err := child.Start(); err != nil {
				os.Exit(1)
			}
			fmt.Println(child.Process.Pid)
			time.Sleep(time.Hour)
		},
		"watched": func() {
			child := nettest.Itself("netstack", "watch", "--parent", strconv.Itoa(os.Getpid()), "--outlives-parent")
			words, err := child.StdinPipe()
			if err != nil || child.Start() != nil {
				os.Exit(1)
			}
			fmt.Fprintf(words, "machine %s\n", os.Args[1])
			fmt.Println("watched")
			time.Sleep(time.Hour)
		},
	})
}

func netstackCommand(files []*os.File) *exec.Cmd {
	command := nettest.Itself("netstack", "serve")
	command.ExtraFiles = files
	return command
}

// channels are three socket pairs: sbx's ends and netstack's.
func channels(t *testing.T) (ours, theirs []*os.File) {
	t.Helper()
	for range 3 {
		pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ours = append(ours, os.NewFile(uintptr(pair[0]), ""))
		theirs = append(theirs, os.NewFile(uintptr(pair[1]), ""))
	}
	t.Cleanup(func() { closeAll(ours); closeAll(theirs) })
	return ours, theirs
}

func closeAll(files []*os.File) {
	for _, file := range files {
		file.Close()
	}
}

func configMessage() []byte {
	body, _ := json.Marshal(control.Message{T: "config", V: control.Version, MTU: 1500, Guest: control.Endpoint(nettest.Guest), Gateway: control.Endpoint(nettest.Gateway)})
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func TestNetstackEndsWithItsSbx(t *testing.T) {
	for name, then := range map[string]func(ours []*os.File){
		"gone before the configuration": closeAll,
		"never configures":              func([]*os.File) {},
		"stops in the middle of a word": func(ours []*os.File) { ours[0].Write([]byte{0, 0}) },
		"falls silent":                  func(ours []*os.File) { ours[0].Write(configMessage()) },
		"closes only its control channel": func(ours []*os.File) {
			ours[0].Write(configMessage())
			ours[0].Close()
		},
		"closes only its flows channel": func(ours []*os.File) {
			ours[0].Write(configMessage())
			ours[1].Close()
		},
		"says what nobody understands": func(ours []*os.File) { ours[0].Write([]byte("\xff\xff\xff\xff")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := channels(t)
			command := netstackCommand(theirs)
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			closeAll(theirs)
			then(ours)
			nettest.MustEnd(t, command)
		})
	}
}

// On a loaded machine a process may not run for seconds. Both do not, or netstack alone: sbx has spoken.
func TestNetstackThatWasNotLetRunDoesNotTakeItForSilence(t *testing.T) {
	t.Parallel()
	ours, theirs := channels(t)
	command := netstackCommand(theirs)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	closeAll(theirs)
	ping := func(n int) { ours[0].Write(nettest.FrameMessage(fmt.Sprintf(`{"t":"ping","n":%d}`, n))) }
	ours[0].Write(configMessage())
	ping(1)
	in := bufio.NewReader(ours[0])
	pong := func(n uint64) {
		t.Helper()
		for {
			switch message, err := control.ReadMessage(in); {
			case err != nil:
				t.Fatal(err)
			case message.T == "pong" && message.N == n:
				return
			}
		}
	}
	pong(1)
	command.Process.Signal(syscall.SIGSTOP)
	time.Sleep(control.Silence / 2)
	ping(2)
	time.Sleep(control.Silence/2 + control.Silence/control.SilenceSteps)
	command.Process.Signal(syscall.SIGCONT)
	pong(2)
	ping(3)
	pong(3)
	closeAll(ours)
	nettest.MustEnd(t, command)
}

func TestNetstackDoesNotHoldTheOtherEndsItself(t *testing.T) {
	ours, theirs := channels(t)
	command := netstackCommand(append(theirs, ours...))
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	closeAll(theirs)
	closeAll(ours)
	nettest.MustEnd(t, command)
}

func TestNetstackEndsThoughNobodyReadsItsLastWords(t *testing.T) {
	ours, theirs := channels(t)
	command := netstackCommand(theirs)
	reader, full, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	command.Stderr = full
	fd := int(full.Fd())
	syscall.SetNonblock(fd, true)
	for err == nil {
		_, err = syscall.Write(fd, make([]byte, 4096))
	}
	syscall.SetNonblock(fd, false)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	closeAll(theirs)
	ours[0].Write([]byte("\xff\xff\xff\xff"))
	nettest.MustEnd(t, command)
}

// Whoever else holds the other ends: a test, a debugger, a process that inherited them.
func TestNetstackDiesWithItsParent(t *testing.T) {
	ours, theirs := channels(t)
	parent := nettest.Itself("parent")
	parent.ExtraFiles = theirs
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, parsed := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || parsed != nil {
		t.Fatalf("the parent said %q, %v", line, err)
	}
	ours[0].Read(make([]byte, 64)) // its hello: it runs
	parent.Process.Kill()
	parent.Wait()
	nettest.Settle(t, "the end of netstack", func() bool { return !alive(pid) })
}

// Whether it had begun to watch, or not: the machine is nobody's child that the kernel would end.
func TestAWatchdogThatOutlivesItsParentEndsTheMachine(t *testing.T) {
	for round := range 10 {
		machine := exec.Command("sleep", "1000")
		if err := machine.Start(); err != nil {
			t.Fatal(err)
		}
		parent := nettest.Itself("watched", strconv.Itoa(machine.Process.Pid))
		out, err := parent.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := parent.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "watched\n" {
			t.Fatalf("the parent said %q, %v", line, err)
		}
		time.Sleep(time.Duration(round) * 10 * time.Millisecond)
		parent.Process.Kill()
		parent.Wait()
		nettest.MustEnd(t, machine)
	}
}

// alive tells whether a process runs; one that nobody has reaped yet does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

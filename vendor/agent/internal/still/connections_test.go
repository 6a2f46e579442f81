package still

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"sbx.dev/agent/internal/nstest"
)

const reader = "SBX_TEST_READER"

// TestMain is also a program that connects to the addresses it is given, and says of each how its reading ends.
func TestMain(m *testing.M) {
	if os.Getenv(reader) == "" {
		os.Exit(m.Run())
	}
	ends := make(chan string)
	for _, address := range os.Args[1:] {
		flow, err := net.Dial("tcp", address)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		go func() {
			_, err := flow.Read(make([]byte, 1))
			ends <- fmt.Sprintf("%s %v", address, err)
		}()
	}
	fmt.Println("connected")
	for range os.Args[1:] {
		fmt.Println(<-ends)
	}
}

func TestConnectionsThatLeadOutAreResetAndOthersAreNot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a network of its own needs real root")
	}
	if !nstest.Run(t, syscall.CLONE_NEWNET) {
		return
	}
	for _, line := range [][]string{{"link", "set", "lo", "up"}, {"address", "add", "192.0.2.1/32", "dev", "lo"}} {
		if out, err := exec.Command("ip", line...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", line, err, out)
		}
	}
	listen := func(address string) net.Listener {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		return listener
	}
	out, inside := listen("192.0.2.1:0"), listen("127.0.0.1:0")
	child := exec.Command("/proc/self/exe", out.Addr().String(), inside.Addr().String())
	child.Env = []string{reader + "=1"}
	printed, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(printed)
	next := func() string {
		if !lines.Scan() {
			t.Fatal("it prints no more")
		}
		return lines.Text()
	}
	if said := next(); said != "connected" {
		t.Fatal(said)
	}
	if count := resetOf(child.Process.Pid); count != 1 {
		t.Errorf("%d connections were reset", count)
	}
	said := next()
	var ended string
	if _, err := fmt.Sscan(said, &ended); err != nil || ended != out.Addr().String() {
		t.Errorf("what ended first is %q", said)
	}
	if want := syscall.ECONNRESET.Error(); len(said) < len(want) || said[len(said)-len(want):] != want {
		t.Errorf("it ended as %q", said)
	}
	// The other one goes on until its peer ends it.
	flow, err := inside.Accept()
	if err != nil {
		t.Fatal(err)
	}
	flow.Close()
	if said := next(); said != inside.Addr().String()+" EOF" {
		t.Errorf("the other one ended as %q", said)
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}

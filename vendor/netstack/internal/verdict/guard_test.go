package verdict

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"testing"

	"sbx.dev/netstack/internal/control"
)

func testGuard(t testing.TB) *Guard {
	t.Helper()
	g, err := NewGuard()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// isGuarded tells whether the guard refuses, rather than a kernel without a route.
func isGuarded(g *Guard, text string) bool {
	return errors.Is(g.Check("tcp", netip.AddrPortFrom(netip.MustParseAddr(text), 80)), ErrGuard)
}

// The same file is what lib/flow/dial.ts is held to.
func TestTheGuardIsTheOneThatSbxHas(t *testing.T) {
	var shared struct{ Blocks, Guarded, Open []string }
	text, err := os.ReadFile("../../../../test/vectors/guarded.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &shared); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"::ffff:0.0.0.0/96": true}
	for _, text := range shared.Blocks {
		known[text] = true
	}
	for _, prefix := range never {
		if !known[prefix.String()] {
			t.Errorf("%v is not in guarded.json", prefix)
		}
	}
	if len(never) != len(known) {
		t.Errorf("%d blocks here, %d there", len(never), len(known))
	}
	g := testGuard(t)
	for _, text := range append(shared.Guarded, "::ffff:10.9.9.9") {
		if !isGuarded(g, text) {
			t.Errorf("%s passes", text)
		}
	}
	for _, text := range shared.Open {
		if isGuarded(g, text) {
			t.Errorf("%s is guarded", text)
		}
	}
}

func TestGuardRails(t *testing.T) {
	g := testGuard(t)
	for _, text := range []string{"151.101.9.2", "2606:4700:9::2"} {
		if isGuarded(g, text) {
			t.Errorf("%s is guarded before anybody said that it is the host's", text)
		}
	}
	g.SetHost([]string{"151.101.9.2", "2606:4700:9::2", "junk"})
	for _, text := range []string{"151.101.9.2", "2606:4700:9::2"} {
		if !isGuarded(g, text) {
			t.Errorf("%s is the host's, and passes", text)
		}
	}
	judged := control.FlowInfo{Proto: "tcp", Dst: "127.0.0.1", Dport: 80}
	if _, err := g.DialTarget(control.Message{}, judged); !errors.Is(err, ErrGuard) {
		t.Error("an implicit dial passed the guard")
	}
	if err := g.MayServe(control.Message{}, judged); !errors.Is(err, ErrGuard) {
		t.Error("sbx was handed a flow to dial past the guard")
	}
	if err := g.MayServe(control.Message{Serve: true}, judged); err != nil {
		t.Errorf("sbx was not handed a flow that it answers itself: %v", err)
	}
	if to, err := g.DialTarget(control.Message{Dial: "127.0.0.1:8080"}, judged); err != nil || to.Port() != 8080 {
		t.Errorf("the explicit dial: %v %v", to, err)
	}
	if _, err := g.DialTarget(control.Message{Dial: "localhost:1"}, judged); err == nil {
		t.Error("a name was taken as a dial address")
	}
	if _, err := g.DialTarget(control.Message{}, control.FlowInfo{Proto: "tcp", Dst: "x"}); err == nil {
		t.Error("a flow to nowhere was dialled")
	}
}

package flow

import (
	"testing"

	"sbx.dev/netstack/internal/control"
)

func TestQuestionsAndConnectionsDoNotTakeEachOthersPlaces(t *testing.T) {
	info := func(proto, dir string, port uint16) control.FlowInfo {
		return control.FlowInfo{Proto: proto, Dir: dir, Src: "192.168.127.2", Dst: "1.1.1.1", Dport: port}
	}
	table := NewTable()
	table.Configure(control.Limits{Flows: 3})
	id := uint64(0)
	open := func(i control.FlowInfo) bool { id++; return table.Open(id, i) != nil }
	for n := range maxQuestions {
		proto := "udp"
		if n%2 == 1 {
			proto = "tcp"
		}
		if !open(info(proto, "outbound", 53)) {
			t.Fatalf("question %d was refused", n)
		}
	}
	if open(info("udp", "outbound", 53)) {
		t.Error("a question too many")
	}
	// A ping has no port, and what comes in to port 53 of the guest is no question of it.
	for _, i := range []control.FlowInfo{info("tcp", "outbound", 443), info("icmpv4", "outbound", 53), info("udp", "inbound", 53)} {
		if !open(i) {
			t.Errorf("%+v was refused", i)
		}
	}
	if open(info("tcp", "outbound", 443)) {
		t.Error("a connection too many")
	}
	if got := table.TakeLimited(); got["questions"] != 1 || got["flows"] != 1 {
		t.Errorf("limited: %v", got)
	}
	table.Drop(1)
	table.Drop(1)
	if !open(info("udp", "outbound", 53)) || open(info("tcp", "outbound", 53)) {
		t.Error("a question that ended does not free exactly its place")
	}
}

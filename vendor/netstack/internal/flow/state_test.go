package flow

import (
	"bytes"
	"strings"
	"testing"

	"sbx.dev/netstack/internal/control"
)

// stateAfter is the state after these events, or "impossible".
func stateAfter(events ...Event) (name string) {
	defer func() {
		if recover() != nil {
			name = "impossible"
		}
	}()
	var f Flow
	for _, event := range events {
		f.Become(event)
	}
	return f.State().String()
}

func TestWhatAFlowBecomes(t *testing.T) {
	inspected := []Event{Begun, control.Inspect, First}
	open := []Event{Begun, control.Allow, Connected}
	for _, row := range []struct {
		events []Event
		want   string
	}{
		{[]Event{Begun}, "asked"},
		{[]Event{Begun, control.Deny}, "denied"},
		{[]Event{Begun, control.Allow}, "dialling"},
		{[]Event{Begun, control.Redirect}, "served"},
		{open, "open"},
		{inspected, "stated"},
		{append(inspected, control.Allow), "dialling"},
		{append(inspected, control.Inspect), "dialling"},
		{append(inspected, control.Redirect), "served"},
		{append(inspected, control.EndDenied), "closed"},
		{append(open, First), "held"},
		{append(open, Hello), "held"},
		{append(open, First, control.Allow), "open"},
		{append(open, First, control.Redirect), "served"},
		{append(open, Hello, Answered), "open"},
		{append(open, First, control.Allow, Hello, control.Allow), "open"},
		{append(open, control.EndEOF, control.Allow, control.EndKilled, Connected), "closed"},
		{[]Event{Begun, control.Deny, control.EndIdle}, "denied"},
		// What was not judged does not pass, whatever comes.
		{[]Event{control.Allow}, "impossible"},
		{[]Event{control.EndEOF}, "impossible"},
		{[]Event{Begun, Connected}, "impossible"},
		{[]Event{Begun, First}, "impossible"},
		{[]Event{Begun, control.Inspect, control.Allow}, "impossible"},
		{[]Event{Begun, control.Inspect, Connected}, "impossible"},
		{append(inspected, Connected), "impossible"},
		{append(inspected, control.Deny), "impossible"},
		{append(open, control.Allow), "impossible"},
		{append(open, Answered), "impossible"},
		{append(open, First, Connected), "impossible"},
		{[]Event{Begun, control.Redirect, control.Allow}, "impossible"},
		{[]Event{Begun, "what sbx never says"}, "impossible"},
	} {
		if got := stateAfter(row.events...); got != row.want {
			t.Errorf("after %v: %s, want %s", row.events, got, row.want)
		}
	}
}

func TestEveryEndEndsWhatIsNotOver(t *testing.T) {
	for _, end := range []Event{
		control.EndEOF, control.EndResetByGuest, control.EndResetByUpstream, control.EndRefused,
		control.EndUnreachable, control.EndTimeout, control.EndIdle, control.EndKilled, control.EndGuard,
		control.EndGone, control.EndDenied, control.EndLimit,
	} {
		for state := Asked; state < Denied; state++ {
			if to, can := state.next(end); to != Closed || !can {
				t.Errorf("%s does not end what is %s", end, state)
			}
		}
	}
}

func TestATraceIsOneLineAChangeOfNamesAlone(t *testing.T) {
	var out bytes.Buffer
	table := NewTable()
	table.Trace = TraceTo(&out)
	f := table.Open(12, control.FlowInfo{Proto: "tcp", Dir: "outbound", Dst: "1.1.1.1", Dport: 443})
	f.Become(control.Allow)
	f.Become(Connected)
	f.Become(control.EndEOF)
	f.Become(control.EndKilled)
	want := "trace netstack 12 new → asked (begun)\ntrace netstack 12 asked → dialling (allow)\n" +
		"trace netstack 12 dialling → open (connected)\ntrace netstack 12 open → closed (eof)\n"
	if out.String() != want {
		t.Errorf("traced\n%s", &out)
	}
	if strings.Contains(out.String(), "1.1.1.1") {
		t.Error("it says where the flow goes")
	}
}

func TestOnlyWhoAsksForFlowsSeesThem(t *testing.T) {
	for parts, want := range map[string]bool{
		"flow": true, "http,flow": true, "": false, "http": false, "flows": false, "netflow,dns": false,
	} {
		if Traced(parts) != want {
			t.Errorf("%q: %t", parts, !want)
		}
	}
}

package flow

import "sbx.dev/netstack/internal/control"

// State is what a flow is.
//
//	asked ─┬─ inspect ──► reading ── first ──► stated ─┬─ allow, inspect ──► dialling
//	       │                                           └─ redirect ────────► served
//	       ├─ allow ────► dialling ── connected ──► open ── first, hello ──► held
//	       ├─ redirect ─► served                     ▲                        │ ├─ redirect ─► served
//	       └─ deny ─────► denied                     └─── allow, answered ────┘
//	what is not over ── an end of control's ──► closed
type State uint8

const (
	// New is before sbx has heard of it.
	New State = iota
	// Asked: sbx is asked about it. Nothing passes.
	Asked
	// Reading: the guest was accepted, and what it says first is read. Nobody was dialled.
	Reading
	// Stated: sbx is asked about what the guest said first.
	Stated
	// Dialling: the other side has not answered yet.
	Dialling
	// Open: bytes pass.
	Open
	// Held is open for the other side alone. What the guest says waits: for a verdict on it, or for what the
	// server answers to its hello.
	Held
	// Served: sbx has it.
	Served
	// Denied is over: nothing passed, and the verdict said all there is to say.
	Denied
	// Closed is over: its end is told.
	Closed
)

var stateNames = [...]string{
	"new", "asked", "reading", "stated", "dialling", "open", "held", "served", "denied", "closed",
}

func (s State) String() string { return stateNames[s] }

// Event is what makes another state of one: the action of a verdict, one of control's ends, or one of these.
type Event string

// Events that no message has a word for.
const (
	Begun     Event = "begun"
	First     Event = "first" // there is something of the guest's to ask about
	Hello     Event = "hello" // a judged hello is about to go out
	Answered  Event = "answered"
	Connected Event = "connected"
)

// next is the state after an event; false means that this cannot happen. What is over stays as it is.
func (s State) next(event Event) (State, bool) {
	switch {
	case s == Denied, s == Closed:
		return s, true
	case control.IsFlowEnd(string(event)):
		return Closed, s != New
	}
	switch s {
	case New:
		return Asked, event == Begun
	case Asked:
		switch event {
		case control.Allow:
			return Dialling, true
		case control.Inspect:
			return Reading, true
		case control.Redirect:
			return Served, true
		case control.Deny:
			return Denied, true
		}
	case Reading:
		return Stated, event == First
	case Stated:
		switch event {
		case control.Allow, control.Inspect: // to a silent guest: what it says later is a question of its own
			return Dialling, true
		case control.Redirect:
			return Served, true
		}
	case Dialling:
		return Open, event == Connected
	case Open:
		return Held, event == First || event == Hello
	case Held:
		switch event {
		case control.Allow, Answered:
			return Open, true
		case control.Redirect:
			return Served, true
		}
	}
	return s, false
}

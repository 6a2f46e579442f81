package flow

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Trace hears of every change of a flow's state: names alone, nothing that the guest chose.
type Trace func(id uint64, from, to State, event Event)

// TraceTo writes one line a change, each in one piece.
func TraceTo(w io.Writer) Trace {
	return func(id uint64, from, to State, event Event) {
		fmt.Fprintf(w, "trace netstack %d %s → %s (%s)\n", id, from, to, event)
	}
}

// Traced tells whether the variable SBX_TRACE, a list of parts, asks for flows.
func Traced(parts string) bool { return slices.Contains(strings.Split(parts, ","), "flow") }

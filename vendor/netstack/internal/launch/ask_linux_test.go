package launch

import (
	"testing"

	"sbx.dev/netstack/internal/nettest"
)

// What QEMU's own virtiofsd does before it says anything, and what it could not do to anybody.
const leaves = `
import os
os.setgroups([])
status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
print(status["CapEff"], status["NoNewPrivs"])
`

func TestAProgramThatLeavesItsGroupsIsAskedByAnybody(t *testing.T) {
	said, err := nettest.Itself("netstack", "ask", "--", "/usr/bin/python3", "-c", leaves).CombinedOutput()
	if want := "0000000000000000 1\n"; err != nil || string(said) != want {
		t.Errorf("got %q, %v, want %q", said, err, want)
	}
}

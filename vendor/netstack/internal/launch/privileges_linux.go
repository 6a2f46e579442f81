package launch

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// lastCapability is beyond any kernel's CAP_LAST_CAP; dropping an unknown one is an error we ignore.
const lastCapability = 63

// keepable are the capabilities that a program may be left with: what root needs to serve files that
// belong to others, and nothing that outlives the program. Not among them are CAP_FSETID, under which
// an existing setuid file keeps its bit when the guest writes to it, CAP_SETFCAP, which is setuid by
// another name, and CAP_MKNOD.
var keepable = map[string]uint{
	"chown":           unix.CAP_CHOWN,
	"dac_override":    unix.CAP_DAC_OVERRIDE,
	"dac_read_search": unix.CAP_DAC_READ_SEARCH,
	"fowner":          unix.CAP_FOWNER,
}

// capabilities reads a list of names.
func capabilities(text string) (kept uint64, err error) {
	for name := range strings.SplitSeq(text, ",") {
		capability, known := keepable[name]
		if name == "" {
			continue
		}
		if !known {
			return 0, fmt.Errorf("launch: capability %q cannot be kept", name)
		}
		kept |= 1 << capability
	}
	return kept, nil
}

// boundCapabilities takes all but the kept capabilities out of what the program could ever have. It
// needs CAP_SETPCAP; without that it does nothing, and no_new_privs has to do.
func boundCapabilities(kept uint64) {
	for capability := range lastCapability + 1 {
		if kept&(1<<capability) == 0 {
			unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(capability), 0, 0, 0)
		}
	}
}

// limitCapabilities leaves this thread, and whatever it executes under no_new_privs, with those of the
// kept capabilities that it has.
func limitCapabilities(kept uint64) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("cannot read capabilities: %w", err)
	}
	for half := range sets {
		left := sets[half].Permitted & uint32(kept>>(32*half))
		sets[half] = unix.CapUserData{Effective: left, Permitted: left}
	}
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return fmt.Errorf("cannot drop capabilities: %w", err)
	}
	unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	return nil
}

// inherit makes the capabilities of this thread those of what it executes, if that is not root, which
// would have them anyway.
func inherit() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("cannot read capabilities: %w", err)
	}
	for half := range sets {
		sets[half].Inheritable = sets[half].Permitted
	}
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return fmt.Errorf("cannot inherit capabilities: %w", err)
	}
	for capability := range uint(lastCapability + 1) {
		if sets[capability/32].Permitted&(1<<(capability%32)) == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(capability), 0, 0); err != nil {
			return fmt.Errorf("cannot inherit capabilities: %w", err)
		}
	}
	return nil
}

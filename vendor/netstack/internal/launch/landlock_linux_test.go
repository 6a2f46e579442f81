package launch

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestADomainHasWhatTheKernelCanHold(t *testing.T) {
	const refer, truncate, ioctl = unix.LANDLOCK_ACCESS_FS_REFER, unix.LANDLOCK_ACCESS_FS_TRUNCATE, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	for _, test := range []struct {
		version    int
		tree, held bool
		files      uint64 // beyond the first version's
		net, scope bool
	}{
		{version: 0},
		{version: 0, tree: true},
		{version: 1, held: true},
		{version: 1, tree: true}, // a guest could not rename from one directory to another
		{version: 2, tree: true, held: true, files: refer},
		{version: 3, held: true, files: refer | truncate},
		{version: 4, held: true, files: refer | truncate, net: true},
		{version: 5, held: true, files: refer | truncate | ioctl, net: true},
		{version: 6, held: true, files: refer | truncate | ioctl, net: true, scope: true},
		{version: 99, tree: true, held: true, files: refer | truncate | ioctl, net: true, scope: true},
	} {
		got, held := handled(test.version, test.tree)
		want := uint64(0)
		if test.held {
			want = 1<<13 - 1 | test.files
		}
		if held != test.held || got.Access_fs != want || (got.Access_net != 0) != test.net || (got.Scoped != 0) != test.scope {
			t.Errorf("version %d, tree %v: %v %+v", test.version, test.tree, held, got)
		}
	}
}

func TestAProgramThatMayReadWhatItNeedsOpensNothingElse(t *testing.T) {
	if LandlockVersion() == 0 {
		t.Skip("the kernel has no Landlock")
	}
	place := t.TempDir()
	for _, name := range []string{"handed", "other"} {
		if err := os.WriteFile(filepath.Join(place, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const script = `
import os, sys
def can(path, flags):
    try: os.open(path, flags); return "can"
    except PermissionError: return "cannot"
here = sys.argv[1]
print(can(here + "/handed", os.O_RDONLY), can(here + "/handed", os.O_RDWR), can(here + "/other", os.O_RDONLY), can(here, os.O_RDONLY),
    can("/etc/passwd", os.O_RDONLY), can("/usr/bin/env", os.O_RDONLY), can("/dev/null", os.O_RDWR), can("/proc/sys/kernel/core_pattern", os.O_WRONLY))
`
	command := append([]string{"--reads", filepath.Join(place, "handed")}, "--", "/usr/bin/python3", "-c", script, place)
	got := launched(t, "", command...)
	if want := "can cannot cannot cannot cannot can can cannot\n"; got != want {
		t.Errorf("got %q", got)
	}
}

package machine

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sbx.dev/agent/internal/archive"
	"sbx.dev/agent/internal/nstest"
)

func TestADiskOfSomebodyElsesLosesWhatMadeHisMachineKnown(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a root of its own needs real root")
	}
	if !nstest.Run(t, syscall.CLONE_NEWNS) {
		return
	}
	becomeInitramfs(t, t.TempDir())
	const mine, other = "000102030405060708090a0b0c0d0e0f", "ff0102030405060708090a0b0c0d0e0f"
	key, seed := newRoot+"/etc/ssh/ssh_host_rsa_key", newRoot+"/var/lib/systemd/random-seed"
	config := newRoot + "/etc/ssh/sshd_config"
	inTree := scratch + "/layers/%2F/upper/etc/ssh/ssh_host_rsa_key" // of a root that is somebody's tree
	write := func() {
		for _, path := range []string{key, seed, config, inTree} {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	write()
	tree, err := archive.OpenTree(scratch)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	exists := func(path string) bool { _, err := os.Lstat(path); return err == nil }
	for _, step := range []struct {
		owner string
		kept  bool
	}{{"", true}, {mine, false}, {mine, true}, {"", true}, {other, false}, {other, true}} {
		write()
		if err := adopt(tree, step.owner); err != nil {
			t.Fatalf("%q: %v", step.owner, err)
		}
		if exists(key) != step.kept || exists(seed) != step.kept || !exists(config) || exists(inTree) != step.kept {
			t.Errorf("%q: key %v, %v, seed %v, configuration %v", step.owner, exists(key), exists(inTree), exists(seed), exists(config))
		}
	}
	for _, wrong := range []string{"x", mine[:30], mine + "00"} {
		if adopt(tree, wrong) == nil {
			t.Errorf("%q is an owner", wrong)
		}
	}
	// Where something else is in the mark's place, the disk is somebody else's.
	if err := os.Remove(ownerMark); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/init", ownerMark); err != nil {
		t.Fatal(err)
	}
	write()
	if err := adopt(tree, other); err != nil || exists(key) {
		t.Errorf("a link for a mark: %v, key %v", err, exists(key))
	}
	if text, _ := os.ReadFile(ownerMark); string(text) != other {
		t.Errorf("the mark is %q", text)
	}
}

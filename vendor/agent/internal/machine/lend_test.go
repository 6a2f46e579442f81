package machine

import (
	"archive/tar"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/archive"
	"sbx.dev/agent/internal/nstest"
)

func TestWhatAStartGaveIsTakenBackUnlessTheGuestChangedIt(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a root of its own needs real root")
	}
	if !nstest.Run(t, syscall.CLONE_NEWNS) {
		return
	}
	becomeInitramfs(t, t.TempDir())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(newRoot+"/etc/in", 0o755))
	disk, err := archive.OpenTree(scratch)
	must(err)
	defer disk.Close()
	at := func(name string) string { return filepath.Join(newRoot, name) }
	text := func(name string) string {
		content, _ := os.ReadFile(at(name))
		return string(content)
	}
	start := func(names ...string) {
		t.Helper()
		takeBack(disk)
		for _, name := range names {
			os.Remove(at(name))
			must(os.WriteFile(at(name), []byte("given"), 0o644))
		}
		must(lend(disk, nil, names))
	}
	start("etc/kept", "etc/gone", "etc/changed", "etc/replaced", "etc/in/led", "etc/in/gone")
	must(os.WriteFile(at("etc/changed"), []byte("own"), 0o644))
	must(os.WriteFile(at("etc/new"), []byte("own"), 0o644))
	must(os.Rename(at("etc/new"), at("etc/replaced")))
	must(os.WriteFile(at("etc/own"), []byte("own"), 0o644))
	start("etc/kept")
	for name, want := range map[string]string{
		"etc/kept": "given", "etc/gone": "", "etc/changed": "own", "etc/replaced": "own", "etc/in/gone": "", "etc/own": "own",
	} {
		if got := text(name); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}

	// A directory that is a link by now leads nowhere, and a record that is none is about nothing.
	start("etc/in/led")
	must(os.Rename(at("etc/in"), at("elsewhere")))
	must(os.Symlink(at("elsewhere"), at("etc/in")))
	start()
	if text("elsewhere/led") != "given" {
		t.Error("a link was followed")
	}
	for _, plant := range []func() error{
		func() error { return os.WriteFile(lentRecord, []byte(`[{"Name":"etc/own"},{"Name":1}]`), 0o600) },
		func() error { return os.Symlink("/root/etc/own", lentRecord) },
		func() error { return os.Mkdir(lentRecord, 0o700) },
		func() error { return unix.Mkfifo(lentRecord, 0o600) },
	} {
		must(os.RemoveAll(lentRecord))
		must(plant())
		start("etc/kept")
		if text("etc/own") != "own" || text("etc/kept") != "given" {
			t.Errorf("own %q, kept %q", text("etc/own"), text("etc/kept"))
		}
	}
}

func TestWhatATreeHasIsThereAgainOnceAFileThatWasGivenOverItIsTakenBack(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a root of its own needs real root")
	}
	if !nstest.Run(t, syscall.CLONE_NEWNS) {
		return
	}
	source := t.TempDir()
	for _, name := range []string{"/in/given", "/in/own", "/in/removed"} {
		if err := os.MkdirAll(source+"/in", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(source+name, []byte("the tree's"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	becomeInitramfs(t, source)
	if err := os.Mkdir(scratch, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := mount("tmpfs", scratch, "tmpfs", 0, ""); err != nil { // no overlay is written to another one
		t.Fatal(err)
	}
	m := &Machine{attach: func(share Share, target, cache string) error {
		return mount("/tree", target, "", unix.MS_BIND, "")
	}}
	for _, at := range []string{"/opt", "/"} {
		trees := []Share{{At: at}}
		preparation := Preparation{Home: "/root", Trees: trees, Disk: &Disk{Kept: true}}
		life := func(names ...string) {
			t.Helper()
			root, err := archive.OpenTree(scratch)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			takeBack(root)
			var files []tar.Header
			for _, name := range names {
				files = append(files, tar.Header{Typeflag: tar.TypeReg, Name: filepath.Join(at, name), Mode: 0o644})
			}
			files = append(files, tar.Header{Typeflag: tar.TypeReg, Name: "run/file", Mode: 0o644})
			if err := m.completeRoot(preparation, archiveOf(t, files...)); err != nil {
				t.Fatalf("at %s: %v", at, err)
			}
		}
		end := func() {
			t.Helper()
			for _, mounted := range []string{filepath.Join(newRoot, "run"), filepath.Join(newRoot, at), lowers + "/0"} {
				if err := unix.Unmount(mounted, 0); err != nil && err != unix.EINVAL {
					t.Fatal(err)
				}
			}
		}
		in := func(name string) string { return filepath.Join(newRoot, at, name) }
		life("in/given", "in/own", "new")
		if err := os.WriteFile(in("in/own"), []byte("own"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(in("in/removed")); err != nil {
			t.Fatal(err)
		}
		end()
		life()
		for name, want := range map[string]string{
			"in/given": "the tree's", "in/own": "own", "in/removed": "", "new": "",
		} {
			if got, _ := os.ReadFile(in(name)); string(got) != want {
				t.Errorf("at %s, %s holds %q, want %q", at, name, got, want)
			}
		}
		end()
	}
}

func TestARecordThatTheDiskHasNoRoomForLeavesTheOneBefore(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a root of its own needs real root")
	}
	if !nstest.Run(t, syscall.CLONE_NEWNS) {
		return
	}
	becomeInitramfs(t, t.TempDir())
	if err := os.Mkdir(scratch, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := mount("tmpfs", scratch, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	before := []lent{{"root/etc/given", archive.Stamp{Inode: 1, ChangedNs: 2}}}
	if err := writeLent(before); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(scratch+"/fill", make([]byte, 1<<20), 0o600)
	if err := writeLent([]lent{{"root/etc/other", archive.Stamp{}}}); err != nil {
		t.Fatal(err)
	}
	if got := readLent(); !slices.Equal(got, before) {
		t.Errorf("the record is %v", got)
	}
}

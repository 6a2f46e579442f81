package machine

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
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
	at := func(name string) string { return filepath.Join(newRoot, name) }
	text := func(name string) string {
		content, _ := os.ReadFile(at(name))
		return string(content)
	}
	start := func(names ...string) {
		t.Helper()
		must(lend(func() ([]string, error) {
			for _, name := range names {
				os.Remove(at(name))
				if err := os.WriteFile(at(name), []byte("given"), 0o644); err != nil {
					return nil, err
				}
			}
			return names, nil
		}))
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

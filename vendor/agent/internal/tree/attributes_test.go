package tree

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/nstest"
)

// attributesAt has a line for each.
func attributesAt(t *testing.T, path string) []string {
	t.Helper()
	names := make([]byte, maxNames)
	length, err := unix.Llistxattr(path, names)
	must(t, err)
	var lines []string
	for _, name := range strings.Split(strings.TrimSuffix(string(names[:length]), "\x00"), "\x00") {
		value := make([]byte, maxValue)
		if name == "" {
			continue
		}
		length, err := unix.Lgetxattr(path, name, value)
		must(t, err)
		lines = append(lines, fmt.Sprintf("%s=%q", name, value[:length]))
	}
	slices.Sort(lines)
	return lines
}

func needAttributes(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Setxattr(dir, "user.tried", nil, 0); err != nil {
		t.Skipf("the file system of %s has no attributes of users: %v", dir, err)
	}
	must(t, unix.Removexattr(dir, "user.tried"))
}

func TestAttributesOfUsersAreCarriedAndNoOthers(t *testing.T) {
	dir := t.TempDir()
	needAttributes(t, dir)
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	must(t, os.MkdirAll(filepath.Join(from, "in"), 0o755))
	put(t, filepath.Join(from, "in/file"), "x", 0o444)
	put(t, filepath.Join(from, "program"), "x", 0o755)
	must(t, os.Symlink("in", filepath.Join(from, "link")))
	must(t, os.Link(filepath.Join(from, "in/file"), filepath.Join(from, "second")))
	for _, path := range []string{"", "in", "in/file"} {
		at := filepath.Join(from, path)
		must(t, unix.Setxattr(at, "user.path", []byte("\x00"+path), 0))
		must(t, unix.Setxattr(at, "user."+strings.Repeat("n", 250), bytes.Repeat([]byte("v"), 2000), 0))
		must(t, unix.Setxattr(at, "user.empty", nil, 0))
	}
	capability := []byte("\x01\x00\x00\x02\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	if os.Getuid() == 0 {
		must(t, unix.Setxattr(filepath.Join(from, "program"), "security.capability", capability, 0))
		must(t, unix.Setxattr(filepath.Join(from, "program"), "trusted.mine", []byte("x"), 0))
	}
	if made := unpack(t, NewReader(packed(t, from)), to, owner()); made.AttributesLeftOut != 0 {
		t.Errorf("%d were left out", made.AttributesLeftOut)
	}
	for _, path := range []string{"", "in", "in/file", "second"} {
		want, got := attributesAt(t, filepath.Join(from, path)), attributesAt(t, filepath.Join(to, path))
		if len(want) != 3 || !slices.Equal(want, got) {
			t.Errorf("%q came out with %q, not %q", path, got, want)
		}
	}
	for _, path := range []string{"program", "link"} {
		if got := attributesAt(t, filepath.Join(to, path)); len(got) != 0 {
			t.Errorf("%s has %q", path, got)
		}
	}
	var without bytes.Buffer
	must(t, Pack(NewWriter(&without), from, false))
	if bytes.Contains(without.Bytes(), []byte("user.")) {
		t.Error("attributes went to who does not know them")
	}
}

func TestAttributesThatAFileSystemDoesNotTakeAreCounted(t *testing.T) {
	if !nstest.Run(t, syscall.CLONE_NEWNS) {
		return
	}
	small := t.TempDir()
	must(t, unix.Mount("tmpfs", small, "tmpfs", 0, "nr_inodes=100"))
	defer unix.Unmount(small, unix.MNT_DETACH)
	var out bytes.Buffer
	w := NewWriter(&out)
	must(t, w.Entry(Entry{Type: File, Mode: 0o644}))
	// tmpfs holds those of users in the room of its inodes, or, before Linux 6.6, not at all.
	for n := range 4 {
		must(t, w.Attribute(fmt.Sprintf("user.%d", n), bytes.Repeat([]byte("v"), maxValue)))
	}
	must(t, w.Data([]byte("content")))
	must(t, w.End())
	made := unpack(t, NewReader(&out), filepath.Join(small, "to"), owner())
	if made.AttributesLeftOut != 4-len(attributesAt(t, filepath.Join(small, "to"))) || made.AttributesLeftOut < 3 {
		t.Errorf("%d were left out", made.AttributesLeftOut)
	}
	if got, err := os.ReadFile(filepath.Join(small, "to")); err != nil || string(got) != "content" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAttributesThatCannotBeAreRefused(t *testing.T) {
	file, link := Entry{Type: File, Name: "f"}, Entry{Type: Symlink, Name: "l", Target: "x"}
	attribute := func(w *Writer) { w.Attribute("user.a", []byte("x")) }
	for name, write := range map[string]func(*Writer){
		"of nothing":         attribute,
		"of a link":          func(w *Writer) { w.Entry(Entry{Type: Directory}); w.Entry(link); attribute(w) },
		"behind the content": func(w *Writer) { w.Entry(Entry{Type: Directory}); w.Entry(file); w.Data([]byte("x")); attribute(w) },
		"of the kernel":      func(w *Writer) { w.Entry(Entry{Type: File}); w.Attribute("security.capability", nil) },
		"of overlays":        func(w *Writer) { w.Entry(Entry{Type: File}); w.Attribute("trusted.overlay.opaque", []byte("y")) },
		"without a name":     func(w *Writer) { w.Entry(Entry{Type: File}); w.Attribute("user.", nil) },
		"with a NUL":         func(w *Writer) { w.Entry(Entry{Type: File}); w.Attribute("user.a\x00b", nil) },
		"with too much":      func(w *Writer) { w.Entry(Entry{Type: File}); w.Attribute("user.a", make([]byte, maxValue+1)) },
		"without an end": func(w *Writer) {
			w.Entry(Entry{Type: File})
			for n := range 300 {
				w.Attribute("user."+strings.Repeat("n", 240)+fmt.Sprint(n), nil)
			}
		},
	} {
		dir := t.TempDir()
		var out bytes.Buffer
		w := NewWriter(&out)
		write(w)
		must(t, w.End())
		if _, err := Unpack(NewReader(&out), filepath.Join(dir, "to"), owner()); !errors.Is(err, errMalformed) {
			t.Errorf("an attribute %s: %v", name, err)
		}
		if names, _ := os.ReadDir(dir); len(names) != 0 {
			t.Errorf("an attribute %s left %v", name, names)
		}
	}
}

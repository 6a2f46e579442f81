package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/nstest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o600))
	must(t, os.Chmod(path, mode))
}

func packed(t *testing.T, root string) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	must(t, Pack(NewWriter(&out), root, true))
	return &out
}

func unpack(t *testing.T, r *Reader, to string, owner *Owner) Made {
	t.Helper()
	made, err := Unpack(r, to, owner)
	must(t, err)
	return made
}

// owner is whoever runs the test, since only root gives files away.
func owner() *Owner {
	return &Owner{os.Getuid(), os.Getgid()}
}

// everything says all that a copy has to keep, a line for each file.
func everything(t *testing.T, root string) []string {
	t.Helper()
	var lines []string
	must(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := lstat(path)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("%q %o %d", strings.TrimPrefix(path, root), info.Mode, info.Mtim.Nano())
		switch info.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %d names, %q", info.Nlink, content)
		case unix.S_IFLNK:
			target, _ := os.Readlink(path)
			what += " → " + target
		}
		lines = append(lines, what)
		return nil
	}))
	return lines
}

func TestATreeComesOutAsItWas(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "from")
	must(t, os.MkdirAll(filepath.Join(from, "a/deep/er"), 0o750))
	put(t, filepath.Join(from, "a/run"), "#!/bin/sh\n", 0o755)
	put(t, filepath.Join(from, "a/secret"), "s", 0o400)
	put(t, filepath.Join(from, "empty"), "", 0o644)
	put(t, filepath.Join(from, "large"), strings.Repeat("0123456789", 50_000), 0o644)
	put(t, filepath.Join(from, "not\xffUTF-8\n"), "bytes", 0o644)
	put(t, filepath.Join(from, "a.b"), "sorts between a and a/", 0o644)
	must(t, os.Link(filepath.Join(from, "a/run"), filepath.Join(from, "again")))
	must(t, os.Symlink("../../etc/passwd", filepath.Join(from, "a/link")))
	must(t, os.Symlink("\xfe", filepath.Join(from, "strange")))
	must(t, os.Chmod(filepath.Join(from, "a/deep"), 0o555|os.ModeSticky))
	old := time.Unix(1_000_000_000, 123_456_789)
	for _, name := range []string{"a/run", "a/deep/er", "a/deep", "a", ""} {
		must(t, os.Chtimes(filepath.Join(from, name), old, old))
	}
	to := filepath.Join(dir, "to")
	unpack(t, NewReader(packed(t, from)), to, owner())
	want, got := everything(t, from), everything(t, to)
	if !slices.Equal(want, got) {
		t.Errorf("came out\n%s\nof\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(want) != 13 {
		t.Errorf("%d files were compared", len(want))
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 2 {
		t.Errorf("beside the trees: %v, %v", names, err)
	}
}

func TestHolesStayHoles(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "from")
	file, err := os.Create(from)
	must(t, err)
	_, err = file.WriteAt([]byte("in the middle"), 1<<30)
	must(t, err)
	must(t, file.Truncate(1<<40))
	must(t, file.Close())
	stream := packed(t, from)
	if stream.Len() > 1<<20 {
		t.Errorf("%d bytes for a file of holes", stream.Len())
	}
	to := filepath.Join(dir, "to")
	unpack(t, NewReader(stream), to, owner())
	info, err := lstat(to)
	must(t, err)
	if info.Size != 1<<40 || info.Blocks > 2048 {
		t.Errorf("%d bytes in %d blocks", info.Size, info.Blocks)
	}
	made, err := os.Open(to)
	must(t, err)
	defer made.Close()
	got := make([]byte, 13)
	if _, err := made.ReadAt(got, 1<<30); err != nil || string(got) != "in the middle" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDirectoriesAreMergedAndFilesReplaced(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	must(t, os.MkdirAll(filepath.Join(from, "both"), 0o777))
	must(t, os.MkdirAll(filepath.Join(to, "both"), 0o700))
	must(t, os.Chmod(filepath.Join(from, "both"), 0o777))
	put(t, filepath.Join(from, "both/file"), "new", 0o644)
	put(t, filepath.Join(from, "both/more"), "new", 0o644)
	put(t, filepath.Join(to, "both/kept"), "old", 0o644)
	put(t, filepath.Join(dir, "elsewhere"), "old", 0o644)
	must(t, os.Symlink("../../elsewhere", filepath.Join(to, "both/file")))
	unpack(t, NewReader(packed(t, from)), to, owner())
	for path, want := range map[string]string{
		"to/both/file": "new", "to/both/more": "new", "to/both/kept": "old", "elsewhere": "old",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", path, got, err)
		}
	}
	if info, _ := lstat(filepath.Join(to, "both")); info.Mode&0o777 != 0o700 {
		t.Errorf("the directory that was there has mode %o", info.Mode)
	}
}

func TestATreeIsCopiedToBelowItself(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "file"), "x", 0o644)
	from, to := io.Pipe()
	go func() { to.CloseWithError(Pack(NewWriter(to), dir, true)) }()
	unpack(t, NewReader(from), filepath.Join(dir, "copy"), owner())
	names, err := os.ReadDir(filepath.Join(dir, "copy"))
	if err != nil || len(names) != 1 {
		t.Errorf("the copy holds %v, %v", names, err)
	}
}

func TestASlashFollowsALinkToADirectory(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "real"), 0o755))
	put(t, filepath.Join(dir, "real/file"), "x", 0o644)
	must(t, os.Symlink("real", filepath.Join(dir, "link")))
	must(t, os.Mkdir(filepath.Join(dir, "to"), 0o755))
	must(t, os.Symlink("to", filepath.Join(dir, "target")))
	unpack(t, NewReader(packed(t, filepath.Join(dir, "link")+"/")), filepath.Join(dir, "target")+"/", owner())
	if got, err := os.ReadFile(filepath.Join(dir, "to/file")); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWhatCannotBeMergedChangesNothing(t *testing.T) {
	for name, want := range map[string]error{"directory": syscall.ENOTDIR, "file": syscall.EISDIR} {
		dir := t.TempDir()
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
		must(t, os.MkdirAll(from, 0o755))
		must(t, os.MkdirAll(to, 0o755))
		put(t, filepath.Join(from, "a"), "new", 0o644)
		if name == "directory" {
			must(t, os.Mkdir(filepath.Join(from, "z"), 0o755))
			must(t, os.Symlink("/", filepath.Join(to, "z")))
		} else {
			put(t, filepath.Join(from, "z"), "new", 0o644)
			must(t, os.Mkdir(filepath.Join(to, "z"), 0o755))
		}
		if _, err := Unpack(NewReader(packed(t, from)), to, owner()); !errors.Is(err, want) {
			t.Errorf("a %s in the way of another kind: %v", name, err)
		}
		names, _ := os.ReadDir(to)
		if len(names) != 1 {
			t.Errorf("after the failure there is %v", names)
		}
	}
}

func TestOfATreeThatIsCutNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "from")
	must(t, os.MkdirAll(filepath.Join(from, "sub"), 0o755))
	put(t, filepath.Join(from, "sub/file"), strings.Repeat("x", 1000), 0o644)
	whole := packed(t, from).Bytes()
	for end := 0; end < len(whole); end += 7 {
		to := filepath.Join(dir, "to")
		_, err := Unpack(NewReader(bytes.NewReader(whole[:end])), to, owner())
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d of %d: %v", end, len(whole), err)
		}
		if names, _ := os.ReadDir(dir); len(names) != 1 {
			t.Fatalf("cut at %d there is %v", end, names)
		}
	}
}

func TestAFullFileSystemLeavesNothing(t *testing.T) {
	if !nstest.Run(t, syscall.CLONE_NEWNS) {
		return
	}
	dir := t.TempDir()
	from, small := filepath.Join(dir, "from"), filepath.Join(dir, "small")
	must(t, os.Mkdir(from, 0o755))
	must(t, os.Mkdir(small, 0o755))
	put(t, filepath.Join(from, "fits"), "x", 0o644)
	put(t, filepath.Join(from, "large"), strings.Repeat("x", 4<<20), 0o644)
	must(t, unix.Mount("tmpfs", small, "tmpfs", 0, "size=1M"))
	defer unix.Unmount(small, unix.MNT_DETACH)
	_, err := Unpack(NewReader(packed(t, from)), filepath.Join(small, "to"), owner())
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full file system: %v", err)
	}
	if names, _ := os.ReadDir(small); len(names) != 0 {
		t.Errorf("it holds %v", names)
	}
}

// Records are bounded whatever the stream, and none makes the reader panic.
func FuzzReader(f *testing.F) {
	dir := f.TempDir()
	os.WriteFile(filepath.Join(dir, "one"), []byte("1"), 0o644)
	os.Symlink("one", filepath.Join(dir, "two"))
	var out bytes.Buffer
	Pack(NewWriter(&out), dir, true)
	f.Add(out.Bytes())
	out.Reset()
	w := NewWriter(&out)
	w.Entry(Entry{Type: File})
	w.Attribute("user.color", []byte("red"))
	w.Attribute("user.none", nil)
	w.End()
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := NewReader(bytes.NewReader(stream))
		for {
			record, err := r.Next()
			if err != nil {
				return
			}
			attribute := record.Attribute
			if len(record.Data) > MaxData || len(record.Entry.Name) > MaxData ||
				len(attribute.Name) > maxAttributeName || len(attribute.Value) > maxValue {
				t.Fatal("a record without bounds")
			}
			if record.Kind == KindAttribute && !isCarried(attribute.Name) {
				t.Fatalf("an attribute that is the system's: %q", attribute.Name)
			}
		}
	})
}

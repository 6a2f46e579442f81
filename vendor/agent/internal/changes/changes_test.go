package changes

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/nstest"
	"sbx.dev/agent/internal/tree"
)

// layer mounts a copy of a directory as the machine does, and changes to its top.
func layer(t *testing.T, lower string) Copy {
	t.Helper()
	room := t.TempDir()
	check(t, unix.Mount("tmpfs", room, "tmpfs", 0, ""))
	t.Cleanup(func() {
		os.Chdir("/")
		unix.Unmount(room, unix.MNT_DETACH)
	})
	for _, name := range []string{"/upper", "/work", "/merged"} {
		check(t, os.Mkdir(room+name, 0o755))
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work,index=off,metacopy=off,redirect_dir=on", lower, room, room)
	check(t, unix.Mount("overlay", room+"/merged", "overlay", 0, options))
	check(t, os.Chdir(room+"/merged"))
	upper, err := unix.Open(room+"/upper", unix.O_PATH|unix.O_DIRECTORY, 0)
	check(t, err)
	merged, err := unix.Open(room+"/merged", unix.O_PATH|unix.O_DIRECTORY, 0)
	check(t, err)
	return New(upper, merged)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	check(t, os.WriteFile(name, []byte(content), 0o644))
}

// listed is a line for each entry, and what came in the place of content.
func listed(t *testing.T, c Copy, digests bool) []string {
	t.Helper()
	var out bytes.Buffer
	check(t, c.List(tree.NewWriter(&out), digests))
	return lines(t, &out)
}

func lines(t *testing.T, out *bytes.Buffer) []string {
	t.Helper()
	var all []string
	for r := tree.NewReader(out); ; {
		record, err := r.Next()
		check(t, err)
		switch record.Kind {
		case tree.KindEntry:
			e := record.Entry
			all = append(all, fmt.Sprintf("%d %s %d %s", e.Type, e.Name, e.ID, e.Target))
		case tree.KindData:
			all[len(all)-1] += fmt.Sprintf("%x", record.Data)
		case tree.KindHole:
			all[len(all)-1] += fmt.Sprintf("hole %d", record.Hole)
		case tree.KindEnd:
			return all[1:]
		}
	}
}

func digest(content string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(content))) }

// silent mounts a file system whose server never answers.
func silent(t *testing.T, at string) {
	t.Helper()
	port, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Logf("this machine has no FUSE: %v", err)
		return
	}
	t.Cleanup(func() { unix.Close(port) })
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", port)
	check(t, unix.Mount("silent", at, "fuse", 0, options))
}

func TestACopySaysWhatWasChangedInIt(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("the marks of overlayfs need real root")
	}
	if !nstest.Run(t, syscall.CLONE_NEWNS) {
		return
	}
	lower := t.TempDir()
	for _, name := range []string{"/kept/inner", "/moved/inner", "/emptied"} {
		check(t, os.MkdirAll(lower+name, 0o755))
	}
	for _, name := range []string{"/same", "/kept/file", "/kept/inner/file", "/moved/inner/file", "/emptied/file", "/gone", "/replaced"} {
		write(t, lower+name, "here")
	}
	c := layer(t, lower)
	if got := listed(t, c, true); len(got) != 0 {
		t.Errorf("of nothing: %q", got)
	}
	write(t, "kept/inner/file", "there")
	write(t, "kept/added", "")
	check(t, os.Rename("moved", "at"))
	check(t, os.RemoveAll("emptied"))
	check(t, os.Mkdir("emptied", 0o755))
	check(t, os.Remove("gone"))
	check(t, os.Remove("replaced"))
	check(t, os.Symlink("/else\nwhere", "replaced"))
	check(t, unix.Mkfifo("pipe", 0o600))
	check(t, os.Mkdir("mounted", 0o755))
	check(t, unix.Mount("tmpfs", "mounted", "tmpfs", 0, ""))
	write(t, "mounted/file", "elsewhere")
	write(t, "covered", "")
	check(t, unix.Mount("mounted/file", "covered", "", unix.MS_BIND, ""))
	check(t, os.Mkdir("silent", 0o755))
	silent(t, "silent")
	write(t, "mounted/none of it", "")
	want := []string{
		"2 at 1 ", "2 at/inner 1 ", "1 at/inner/file 0 " + digest("here"),
		"2 emptied 1 ",
		"6 gone 0 ",
		"2 kept 0 ", "1 kept/added 0 " + digest(""), "2 kept/inner 0 ", "1 kept/inner/file 0 " + digest("there"),
		"6 moved 0 ",
		"5 pipe 0 ",
		"3 replaced 0 /else\nwhere",
	}
	if got := listed(t, c, true); !reflect.DeepEqual(got, want) {
		t.Errorf("listed\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := strings.Join(listed(t, c, false), "\n"); strings.Contains(got, digest("")) {
		t.Errorf("digests that nobody wanted: %s", got)
	}
	// Whoever mounts something over the copy hides it from commands alone.
	check(t, unix.Mount("tmpfs", ".", "tmpfs", 0, ""))
	if got := listed(t, c, true); !reflect.DeepEqual(got, want) {
		t.Errorf("under another mount: %q", got)
	}
}

func TestWhatWasChangedIsSentInTheOrderOfItsNames(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("the marks of overlayfs need real root")
	}
	if !nstest.Run(t, syscall.CLONE_NEWNS) {
		return
	}
	lower := t.TempDir()
	write(t, lower+"/b", "here")
	c := layer(t, lower)
	write(t, "a", "A")
	check(t, os.Truncate("b", 0))
	check(t, os.Truncate("b", 1<<20))
	check(t, os.Symlink("a", "link"))
	var out bytes.Buffer
	names := "b\x00link\x00missing\x00a\x00"
	check(t, c.Take(strings.NewReader(names), tree.NewWriter(&out)))
	want := []string{"1 b 0 hole 1048576", "5 link 0 ", "5 missing 0 ", "1 a 0 41"}
	if got := lines(t, &out); !reflect.DeepEqual(got, want) {
		t.Errorf("took %q, want %q", got, want)
	}
	if err := c.Take(strings.NewReader("a"), tree.NewWriter(&out)); err == nil {
		t.Error("took a name without an end")
	}
}

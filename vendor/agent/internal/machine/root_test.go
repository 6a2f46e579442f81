package machine

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/nstest"
)

// becomeInitramfs makes a file system in memory the root, with what the agent mounts first.
func becomeInitramfs(t *testing.T, tree string) {
	t.Helper()
	root := t.TempDir()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(unix.Mount("tmpfs", root, "tmpfs", 0, ""))
	for _, name := range []string{"dev", "proc", "sys", "modules", "tree"} {
		check(os.Mkdir(filepath.Join(root, name), 0o755))
	}
	for _, name := range []string{"init", "modules/9p.ko"} {
		check(os.WriteFile(filepath.Join(root, name), nil, 0o755))
	}
	check(unix.Mount("tmpfs", root+"/dev", "tmpfs", 0, ""))
	check(unix.Mount("proc", root+"/proc", "proc", 0, ""))
	check(unix.Mount("sysfs", root+"/sys", "sysfs", 0, ""))
	check(unix.Mount(tree, root+"/tree", "", unix.MS_BIND, ""))
	check(unix.Chroot(root))
	check(unix.Chdir("/"))
}

func archiveOf(t *testing.T, entries ...tar.Header) *bytes.Buffer {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, entry := range entries {
		content := []byte(entry.Name)
		if entry.Typeflag == tar.TypeReg {
			entry.Size = int64(len(content))
		}
		if err := w.WriteHeader(&entry); err != nil {
			t.Fatal(err)
		}
		if entry.Typeflag == tar.TypeReg {
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &archive
}

func TestTheRootHoldsTheHostsTreeUnderAWritableLayer(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("devpts with the group of terminals needs real root")
	}
	if !nstest.Run(t, syscall.CLONE_NEWNS|syscall.CLONE_NEWPID|syscall.CLONE_NEWNET|syscall.CLONE_NEWUTS) {
		return
	}
	tree := t.TempDir()
	if err := os.WriteFile(tree+"/tool", []byte("the host's"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(tree+"/sub", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/sub/tool", "/hidden"} {
		if err := os.WriteFile(tree+name, []byte("the host's"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	becomeInitramfs(t, tree)
	m := &Machine{attach: func(share Share, target, cache string) error {
		if share != (Share{Tag: "tree0", At: "/usr", ReadOnly: true}) || cache != "loose" {
			t.Errorf("attached %+v with cache %s", share, cache)
		}
		return mount("/tree", target, "", unix.MS_BIND, "")
	}}
	own := archiveOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "usr/share/own", Mode: 0o644})
	trees := []Share{{Tag: "tree0", At: "/usr"}}
	common := archiveOf(t,
		tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "etc/alternatives/awk", Linkname: "/usr/bin/mawk"},
		tar.Header{Typeflag: tar.TypeReg, Name: "usr/sub/common", Mode: 0o600},
		tar.Header{Typeflag: tar.TypeReg, Name: "usr/hidden", Mode: 0o644},
	)
	preparation := Preparation{Home: "/home/user", Links: map[string]string{"bin": "usr/bin"}, Trees: trees}
	first, err := unix.Open("/", unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := prepare(preparation, common); err != nil {
		t.Fatal(err)
	}
	if err := m.completeRoot(preparation, own); err != nil {
		t.Fatal(err)
	}
	if err := enterRoot(); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]fs.FileMode{
		"/": fs.ModeDir | 0o755, "/tmp": fs.ModeDir | fs.ModeSticky | 0o777, "/home/user": fs.ModeDir | 0o700,
		"/bin": fs.ModeSymlink | 0o777, "/etc/alternatives/awk": fs.ModeSymlink | 0o777,
		"/etc/passwd": 0o644, "/usr/tool": 0o755, "/usr/share/own": 0o644,
		"/usr/sub/common": 0o600, "/usr/sub/tool": 0o755, "/usr/hidden": 0o644, "/dev/pts/ptmx": fs.ModeDevice | fs.ModeCharDevice | 0o666,
		"/dev/fd": fs.ModeSymlink | 0o777, "/var/run": fs.ModeSymlink | 0o777,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Error(err)
		} else if info.Mode() != mode {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), mode)
		}
	}
	for _, path := range []string{"/init", "/modules", "/scratch", "/lower", "/tree"} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s of the first file system is still there: %v", path, err)
		}
	}
	for _, name := range []string{"init", "modules/9p.ko"} {
		var found unix.Stat_t
		for end := time.Now().Add(time.Minute); unix.Fstatat(first, name, &found, 0) == nil; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s takes memory for ever", name)
			}
		}
	}
	if err := os.WriteFile("/usr/tool", []byte("the guest's"), 0o755); err != nil {
		t.Errorf("the writable layer: %v", err)
	}
	var system unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &system); err != nil || system.Type != unix.TMPFS_MAGIC {
		t.Errorf("/dev/shm is of type %#x, %v", system.Type, err)
	}
}

func TestATreeIsTheWholeRootWhateverItHasWhereTheGuestNeedsDirectories(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("devpts with the group of terminals needs real root")
	}
	if !nstest.Run(t, syscall.CLONE_NEWNS|syscall.CLONE_NEWPID|syscall.CLONE_NEWNET|syscall.CLONE_NEWUTS) {
		return
	}
	tree := t.TempDir()
	os.Chmod(tree, 0o755)
	os.MkdirAll(tree+"/usr/bin", 0o755)
	os.MkdirAll(tree+"/var/roothome", 0o755)
	for name, target := range map[string]string{
		"bin": "/usr/bin", "dev": "/usr", "etc": "/modules", "proc": "nowhere", "run": "/usr/bin", "sys": "..", "tmp": "tmp",
		"root": "var/roothome",
	} {
		if err := os.Symlink(target, tree+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(tree+"/usr/bin/tool", []byte("the tree's"), 0o755); err != nil {
		t.Fatal(err)
	}
	becomeInitramfs(t, tree)
	os.WriteFile("/modules/secret", nil, 0o644)
	m := &Machine{attach: func(share Share, target, cache string) error {
		return mount("/tree", target, "", unix.MS_BIND, "")
	}}
	preparation := Preparation{Home: "/root", Trees: []Share{{Tag: "tree0", At: "/"}}}
	common := archiveOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "opt/common", Mode: 0o600})
	if err := prepare(preparation, common); err != nil {
		t.Fatal(err)
	}
	own := archiveOf(t,
		tar.Header{Typeflag: tar.TypeReg, Name: "etc/hostname", Mode: 0o644},
		tar.Header{Typeflag: tar.TypeReg, Name: "run/sbx/file0", Mode: 0o444},
	)
	if err := m.completeRoot(preparation, own); err != nil {
		t.Fatal(err)
	}
	if err := enterRoot(); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]fs.FileMode{
		"/": fs.ModeDir | 0o755, "/bin": fs.ModeSymlink | 0o777, "/bin/tool": 0o755, "/dev/pts/ptmx": fs.ModeDevice | fs.ModeCharDevice | 0o666,
		"/etc": fs.ModeDir | 0o755, "/etc/hostname": 0o644, "/opt/common": 0o600, "/proc/self/stat": 0o444, "/root": fs.ModeSymlink | 0o777,
		"/run/sbx/file0": 0o444, "/sys/kernel": fs.ModeDir | 0o755, "/tmp": fs.ModeDir | fs.ModeSticky | 0o777,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Error(err)
		} else if info.Mode() != mode {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), mode)
		}
	}
	for _, path := range []string{"/etc/secret", "/usr/bin/sbx", "/usr/pts", "/var/lib", "/scratch"} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s is there: %v", path, err)
		}
	}
	if err := os.WriteFile("/bin/tool", []byte("the guest's"), 0o755); err != nil {
		t.Errorf("the writable layer: %v", err)
	}
}

func TestMountPointsInsideOthersComeLater(t *testing.T) {
	given := []Share{{At: "/a/b/c"}, {At: "/a"}, {At: "/z/"}, {At: "/a/b"}, {At: "/"}}
	want := []Share{{At: "/"}, {At: "/a"}, {At: "/z/"}, {At: "/a/b"}, {At: "/a/b/c"}}
	if got := inOrder(given); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestLittleEntropyIsRefused(t *testing.T) {
	if err := Reseed(make([]byte, minEntropy-1)); err == nil {
		t.Error("31 bytes were enough")
	}
}

package archive

import (
	"bufio"
	"io"
	"strings"
	"testing/iotest"

	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func archive(t *testing.T, entries ...tar.Header) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, entry := range entries {
		content := []byte("content of " + entry.Name)
		if entry.Typeflag == tar.TypeReg {
			entry.Size = int64(len(content))
		}
		if err := w.WriteHeader(&entry); err != nil {
			t.Fatal(err)
		}
		if entry.Typeflag == tar.TypeReg {
			w.Write(content)
		}
	}
	w.Close()
	return &out
}

func TestUnpackWritesFilesLinksAndDirectories(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "old"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Unpack(archive(t,
		tar.Header{Typeflag: tar.TypeReg, Name: "a/b/file", Mode: 0o640},
		tar.Header{Typeflag: tar.TypeReg, Name: "/rooted", Mode: 0o644},
		tar.Header{Typeflag: tar.TypeDir, Name: "empty/", Mode: 0o700},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "a/link", Linkname: "b/file"},
		tar.Header{Typeflag: tar.TypeReg, Name: "old", Mode: 0o644},
	), dir, Replaced)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"a/link": "content of a/b/file", "rooted": "content of /rooted", "old": "content of old",
	} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != content {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, content)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "empty")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", info, err)
	}
}

func TestUnpackTakesNamesAndTargetsOfAnyLength(t *testing.T) {
	dir := t.TempDir()
	name := strings.Repeat("directory/", 40) + strings.Repeat("n", 200)
	target := strings.Repeat("../", 100) + "there"
	_, err := Unpack(archive(t,
		tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Format: tar.FormatGNU},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "link", Linkname: target, Format: tar.FormatGNU},
		tar.Header{Typeflag: tar.TypeReg, Name: "short", Mode: 0o644},
	), dir, Replaced)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != "content of "+name {
		t.Errorf("the long name: %q, %v", got, err)
	}
	if got, err := os.Readlink(filepath.Join(dir, "link")); err != nil || got != target {
		t.Errorf("the long target: %q, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "short")); err != nil {
		t.Error(err)
	}
}

func TestUnpackReplacesWhatIsInTheWay(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("elsewhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	_, err := Unpack(archive(t,
		tar.Header{Typeflag: tar.TypeReg, Name: "empty", Mode: 0o644},
		tar.Header{Typeflag: tar.TypeReg, Name: "link", Mode: 0o644},
		tar.Header{Typeflag: tar.TypeReg, Name: "twice", Mode: 0o644},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "twice", Linkname: "link"},
	), dir, Replaced)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"empty": "content of empty", "link": "content of link", "twice": "content of link",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != content {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, content)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "elsewhere")); err == nil {
		t.Error("the link that was replaced was written through")
	}
	if _, err := Unpack(archive(t, tar.Header{Typeflag: tar.TypeReg, Name: ".", Mode: 0o644}), dir, Replaced); err == nil {
		t.Error("the root was replaced")
	}
}

// Whatever a file's size, it comes out as archive/tar wrote it, however the archive is cut into pieces.
func TestUnpackReadsTheSameInPiecesOfAnySize(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, 64<<10 - 1, 64 << 10, 200_000} {
		var packed bytes.Buffer
		w := tar.NewWriter(&packed)
		content := bytes.Repeat([]byte{'x'}, size)
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "file", Mode: 0o644, Size: int64(size)})
		w.Write(content)
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "after", Linkname: "file"})
		w.Close()
		for name, from := range map[string]io.Reader{
			"whole": bytes.NewReader(packed.Bytes()),
			"half":  iotest.HalfReader(bytes.NewReader(packed.Bytes())),
			"eof":   iotest.DataErrReader(bytes.NewReader(packed.Bytes())),
		} {
			dir := t.TempDir()
			if _, err := Unpack(from, dir, Replaced); err != nil {
				t.Fatalf("%d bytes, %s: %v", size, name, err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "after")); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes, %s: %d came out, %v", size, name, len(got), err)
			}
		}
	}
}

func TestUnpackStaysInside(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "inside")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Unpack(archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "../../up", Mode: 0o644}), dir, Replaced); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "up")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(parent, "up")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file came out above: %v", err)
	}
}

func TestUnpackFollowsNoLinkAndMakesDirectoriesOfWhatIsInTheWay(t *testing.T) {
	parent := t.TempDir()
	dir, victim := filepath.Join(parent, "inside"), filepath.Join(parent, "victim")
	for _, at := range []string{dir, victim, filepath.Join(dir, "real")} {
		if err := os.Mkdir(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"absolute": victim, "up": "../victim", "loop": "loop", "inner": "real"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, existing := range []Existing{Kept, Replaced} {
		for _, name := range []string{"absolute", "up", "loop", "inner", "plain"} {
			_, err := Unpack(archive(t,
				tar.Header{Typeflag: tar.TypeDir, Name: name + "/made", Mode: 0o755},
				tar.Header{Typeflag: tar.TypeReg, Name: name + "/sub/file", Mode: 0o644},
			), dir, existing)
			if err != nil {
				t.Errorf("below %s: %v", name, err)
			}
			if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || !info.IsDir() {
				t.Errorf("%s is %v, %v", name, info, err)
			}
			if _, err := os.Stat(filepath.Join(dir, name, "sub/file")); err != nil {
				t.Error(err)
			}
		}
	}
	for _, at := range []string{victim, filepath.Join(dir, "real")} {
		if found, err := os.ReadDir(at); err != nil || len(found) != 0 {
			t.Errorf("%s got %v, %v", at, found, err)
		}
	}
}

func TestUnpackKeepsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	entries := []tar.Header{
		{Typeflag: tar.TypeDir, Name: "directory", Mode: 0o755},
		{Typeflag: tar.TypeReg, Name: "file", Mode: 0o644},
		{Typeflag: tar.TypeReg, Name: "link", Mode: 0o644},
		{Typeflag: tar.TypeReg, Name: "missing", Mode: 0o644},
	}
	if _, err := Unpack(archive(t, entries...), dir, Kept); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "directory")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is %v, %v", info, err)
	}
	if got, err := os.Readlink(filepath.Join(dir, "link")); err != nil || got != "nowhere" {
		t.Errorf("the link leads to %q, %v", got, err)
	}
	for name, content := range map[string]string{"file": "kept", "missing": "content of missing"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != content {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, content)
		}
	}
}

func TestUnpackLeavesWhatFollowsTheArchive(t *testing.T) {
	dir := t.TempDir()
	both := archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "first", Mode: 0o644})
	both.Write(archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "second", Mode: 0o644}).Bytes())
	from := bufio.NewReaderSize(both, 64<<10)
	for _, name := range []string{"first", "second"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s came early", name)
		}
		if _, err := Unpack(from, dir, Replaced); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestUnpackRefusesWhatItDoesNotKnow(t *testing.T) {
	device := tar.Header{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}
	if _, err := Unpack(archive(t, device), t.TempDir(), Replaced); err == nil {
		t.Error("a device was unpacked")
	}
	whole := archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "file", Mode: 0o644}).Bytes()
	for _, end := range []int{0, 1, 511, 512, 520, 1023, 1024} {
		if _, err := Unpack(bytes.NewReader(whole[:end]), t.TempDir(), Replaced); err == nil {
			t.Errorf("an archive that ends at %d was taken for whole", end)
		}
	}
	for _, at := range []int{0, 100, 125, 150} { // name, mode, size, checksum
		bent := bytes.Clone(whole)
		bent[at] ^= 1
		if _, err := Unpack(bytes.NewReader(bent), t.TempDir(), Replaced); err == nil {
			t.Errorf("a header that was changed at %d was taken", at)
		}
	}
	pax := tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("n", 300), Format: tar.FormatPAX}
	if _, err := Unpack(archive(t, pax), t.TempDir(), Replaced); err == nil {
		t.Error("an extension that nobody reads was passed over")
	}
	if _, err := Unpack(bytes.NewReader([]byte("no archive at all, but long enough to be a header")), t.TempDir(), Replaced); err == nil {
		t.Error("garbage was unpacked")
	}
}

func TestRemoveMatchingLeavesOthersAndFollowsNoLink(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"in/ssh/key_a", "in/ssh/key_b", "in/ssh/other", "in/ssh/key_dir/file", "out/key_a"} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"in/link": "../out", "in/ssh/key_link": "../../out/key_a", "in/above": ".."} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := OpenTree(filepath.Join(root, "in"))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for _, name := range []string{"ssh", "none", "none/below", "link", "above/out", "../out", "ssh/other"} {
		if err := tree.RemoveMatching(name, "key_*"); (err != nil) != (name == "../out") {
			t.Errorf("%s: %v", name, err)
		}
	}
	var left []string
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(root, path)
			left = append(left, name)
		}
		return err
	})
	want := []string{"in/above", "in/link", "in/ssh/key_dir/file", "in/ssh/other", "out/key_a"}
	if err != nil || !slices.Equal(left, want) {
		t.Errorf("left %v, %v; want %v", left, err, want)
	}
}

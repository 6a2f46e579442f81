package files

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
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
	err := Unpack(archive(t,
		tar.Header{Typeflag: tar.TypeReg, Name: "a/b/file", Mode: 0o640},
		tar.Header{Typeflag: tar.TypeReg, Name: "/rooted", Mode: 0o644},
		tar.Header{Typeflag: tar.TypeDir, Name: "empty/", Mode: 0o700},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "a/link", Linkname: "b/file"},
		tar.Header{Typeflag: tar.TypeReg, Name: "old", Mode: 0o644},
	), dir)
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

func TestUnpackStaysInside(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "inside")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Unpack(archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "../../up", Mode: 0o644}), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "up")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(parent, "up")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file came out above: %v", err)
	}
}

func TestUnpackRefusesWhatItDoesNotKnow(t *testing.T) {
	device := tar.Header{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}
	if err := Unpack(archive(t, device), t.TempDir()); err == nil {
		t.Error("a device was unpacked")
	}
	if err := Unpack(bytes.NewReader([]byte("no archive at all, but long enough to be a header")), t.TempDir()); err == nil {
		t.Error("garbage was unpacked")
	}
}

package archive

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Whatever an archive names, and wherever its links lead, nothing beside the directory is made or changed.
func FuzzUnpack(f *testing.F) {
	seed := func(entries ...tar.Header) {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		for _, entry := range entries {
			w.WriteHeader(&entry)
		}
		w.Close()
		f.Add(out.Bytes())
	}
	seed(tar.Header{Typeflag: tar.TypeReg, Name: "../up", Mode: 0o644})
	seed(tar.Header{Typeflag: tar.TypeDir, Name: "a/b/", Mode: 0o755}, tar.Header{Typeflag: tar.TypeReg, Name: "a/b/c"})
	seed(tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: ".."}, tar.Header{Typeflag: tar.TypeReg, Name: "a/up"})
	seed(tar.Header{Typeflag: tar.TypeReg, Name: "/", Mode: 0o644}, tar.Header{Typeflag: tar.TypeFifo, Name: "p"})
	f.Fuzz(func(t *testing.T, archive []byte) {
		parent := t.TempDir()
		dir := filepath.Join(parent, "inside")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		Unpack(bytes.NewReader(archive), dir, Replaced)
		made, err := os.ReadDir(parent)
		if err != nil || len(made) != 1 {
			t.Fatalf("beside the directory: %v, %v", made, err)
		}
		filepath.WalkDir(dir, func(path string, entry fs.DirEntry, _ error) error {
			if entry.IsDir() {
				os.Chmod(path, 0o755) // so that it can be removed
			}
			return nil
		})
	})
}

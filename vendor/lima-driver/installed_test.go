package main

import (
	"os"
	"path/filepath"
	"testing"
)

func place(t *testing.T, path string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheDriverFindsTheSbxOfItsPackage(t *testing.T) {
	for _, layout := range [][2]string{
		{"sbx-1.0/lima-driver-sbx", "sbx-1.0/sbx"},
		{"usr/lib/lima/lima-driver-sbx", "usr/bin/sbx"},
	} {
		root := t.TempDir()
		driver := place(t, filepath.Join(root, layout[0]), 0o755)
		if found, err := installed(driver); err == nil {
			t.Errorf("%s: %s, without an sbx", layout[0], found)
		}
		sbx := place(t, filepath.Join(root, layout[1]), 0o644)
		if found, err := installed(driver); err == nil {
			t.Errorf("%s: %s, which cannot be run", layout[0], found)
		}
		if err := os.Chmod(sbx, 0o755); err != nil {
			t.Fatal(err)
		}
		if found, err := installed(driver); err != nil || len(found) != 1 || found[0] != sbx {
			t.Errorf("%s: %v, %v", layout[0], found, err)
		}
		link := filepath.Join(t.TempDir(), "lima-driver-sbx")
		if err := os.Symlink(driver, link); err != nil {
			t.Fatal(err)
		}
		if found, err := installed(link); err != nil || len(found) != 1 {
			t.Errorf("a link to %s: %v, %v", layout[0], found, err)
		}
	}
}

// Package files moves files between the host and the guest.
package files

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Unpack writes the directories, files and symbolic links of a tar archive under dir. Parents that
// the archive does not name are made. What is there already is replaced; another kind of entry is an
// error.
func Unpack(archive io.Reader, dir string) error {
	for entries := tar.NewReader(archive); ; {
		entry, err := entries.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = unpackEntry(entry, entries, filepath.Join(dir, filepath.Join("/", entry.Name)))
		}
		if err != nil {
			return err
		}
	}
}

func unpackEntry(entry *tar.Header, content io.Reader, path string) error {
	mode := os.FileMode(entry.Mode).Perm()
	if entry.Typeflag == tar.TypeDir {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		return os.Chmod(path, mode)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	switch entry.Typeflag {
	case tar.TypeSymlink:
		return os.Symlink(entry.Linkname, path)
	case tar.TypeReg:
		return writeAll(path, mode, content)
	}
	return fmt.Errorf("%s: entry of kind %q", entry.Name, entry.Typeflag)
}

func writeAll(path string, mode os.FileMode, content io.Reader) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

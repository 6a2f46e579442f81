// Package files moves files between the host and the guest.
package files

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Unpack writes the directories, files and symbolic links of a tar archive under dir, and the parents
// that the archive does not name. A file or link that is there already is replaced. Another kind of
// entry is an error.
func Unpack(archive io.Reader, dir string) error {
	made := map[string]bool{} // hundreds of links share a directory, and each look costs
	for entries := tar.NewReader(archive); ; {
		entry, err := entries.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		// Rooting the name first keeps ".." inside.
		path := filepath.Join(dir, filepath.Join("/", entry.Name))
		if parent := filepath.Dir(path); !made[parent] {
			if err := os.MkdirAll(parent, 0o755); err != nil {
				return err
			}
			made[parent] = true
		}
		if err := unpackEntry(entry, entries, path); err != nil {
			return err
		}
	}
}

func unpackEntry(entry *tar.Header, content io.Reader, path string) error {
	mode := os.FileMode(entry.Mode).Perm()
	switch entry.Typeflag {
	case tar.TypeDir:
		if err := os.MkdirAll(path, mode); err != nil {
			return err
		}
		return os.Chmod(path, mode)
	case tar.TypeSymlink:
		return replacing(path, func() error { return os.Symlink(entry.Linkname, path) })
	case tar.TypeReg:
		return replacing(path, func() error {
			return writeAll(path, os.O_EXCL, mode, content)
		})
	}
	return fmt.Errorf("%s: entry of kind %q", entry.Name, entry.Typeflag)
}

// replacing makes a file in the place of one that is in the way.
func replacing(path string, create func() error) error {
	err := create()
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return create()
}

func writeAll(path string, flag int, mode os.FileMode, content io.Reader) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|flag, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

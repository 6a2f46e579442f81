package tree

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// placeable finds what cannot be merged before anything is moved: a directory does not take the place of a
// file, nor a file that of a directory.
func placeable(from, to string) error {
	merges, err := meets(from, to)
	if err != nil || !merges {
		return err
	}
	names, err := NamesIn(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := placeable(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}

// place moves a tree to where it belongs, into the directories that are there.
func place(from, to string) error {
	merges, err := meets(from, to)
	if err != nil {
		return err
	}
	if !merges {
		err := os.Rename(from, to)
		if errors.Is(err, fs.ErrNotExist) {
			if _, gone := lstat(from); gone != nil { // the tree had nothing to carry
				return nil
			}
		}
		return err
	}
	names, err := NamesIn(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := place(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}

// meets says whether both are directories, and fails where only one is.
func meets(from, to string) (bool, error) {
	there, err := lstat(to)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	here, err := lstat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	hereDirectory, thereDirectory := isDirectory(here), isDirectory(there)
	switch {
	case hereDirectory && !thereDirectory:
		return false, &fs.PathError{Op: "replace", Path: to, Err: unix.ENOTDIR}
	case thereDirectory && !hereDirectory:
		return false, &fs.PathError{Op: "replace", Path: to, Err: unix.EISDIR}
	}
	return hereDirectory, nil
}

func isDirectory(info *unix.Stat_t) bool { return info.Mode&unix.S_IFMT == unix.S_IFDIR }

// Package changes says what was changed in a copy of a directory, and sends what it has now. The copy is a layer
// over the directory: only where the layer has something can the two differ.
package changes

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/tree"
)

// MaxDigested is the largest file whose content is looked at; the host takes over no larger one.
const MaxDigested = 64 << 30

// maxName is the longest path of a tree's entry.
const maxName = 4096

// Copy is where a copy lies, by descriptors, since a guest can mount something else over any path.
type Copy struct {
	// upper is the layer itself, merged what commands see.
	upper, merged int
}

// New keeps both descriptors.
func New(upper, merged int) Copy { return Copy{upper: upper, merged: merged} }

// List writes an entry for each path that may differ from what is below the copy: a file with its digest in the
// place of its content, a directory with an ID where all that is in it follows, and Gone for what is there no more.
func (c Copy) List(w *tree.Writer, digests bool) error {
	l := lister{w: w, upper: opened(c.upper), merged: opened(c.merged), digests: digests}
	info, err := lstat(l.merged + "/.")
	if err != nil {
		return err
	}
	if l.mount, err = mountOf(l.merged + "/."); err != nil {
		return err
	}
	if err := w.Entry(tree.EntryOf("", info)); err != nil {
		return err
	}
	if err := l.layered(""); err != nil {
		return err
	}
	return w.End()
}

// Take sends files with their content, in the order of the names that come, each of which ends with NUL. What is no
// regular file is sent as one without content.
func (c Copy) Take(names io.Reader, w *tree.Writer) error {
	merged := opened(c.merged)
	if err := w.Entry(tree.Entry{Type: tree.Directory}); err != nil {
		return err
	}
	in := bufio.NewReaderSize(names, maxName+1)
	for {
		name, err := in.ReadSlice(0)
		if err == io.EOF && len(name) == 0 {
			return w.End()
		}
		if err != nil {
			return err
		}
		path := string(name[:len(name)-1])
		if err := tree.PackFile(w, merged+"/"+path, path); err != nil {
			return err
		}
	}
}

type lister struct {
	w             *tree.Writer
	upper, merged string
	mount         uint64
	digests       bool
}

// layered lists a directory that was there before: what the layer has of it.
func (l *lister) layered(name string) error {
	names, err := tree.NamesIn(filepath.Join(l.upper, name))
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, each := range names {
		at := filepath.Join(name, each)
		if l.isCovered(at) {
			continue
		}
		info, err := lstat(filepath.Join(l.merged, at))
		if errors.Is(err, fs.ErrNotExist) {
			err = l.w.Entry(tree.Entry{Type: tree.Gone, Name: at})
		} else if err == nil {
			err = l.visit(at, info, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// whole lists a directory that is not what was there before: all that is in it.
func (l *lister) whole(name string) error {
	names, err := tree.NamesIn(filepath.Join(l.merged, name))
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, each := range names {
		at := filepath.Join(name, each)
		if l.isCovered(at) {
			continue
		}
		info, err := lstat(filepath.Join(l.merged, at))
		if isGone(err) {
			continue
		}
		if err == nil {
			err = l.visit(at, info, false)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) visit(at string, info *unix.Stat_t, isLayered bool) error {
	entry := tree.EntryOf(at, info)
	switch entry.Type {
	case tree.Directory:
		if isLayered && !isReplaced(filepath.Join(l.upper, at)) {
			if err := l.w.Entry(entry); err != nil {
				return err
			}
			return l.layered(at)
		}
		entry.ID = 1
		if err := l.w.Entry(entry); err != nil {
			return err
		}
		return l.whole(at)
	case tree.File:
		if l.digests {
			return l.file(at, entry)
		}
	case tree.Symlink:
		target, err := os.Readlink(filepath.Join(l.merged, at))
		if err != nil {
			entry.Type = tree.Other
		}
		entry.Target = target
	}
	return l.w.Entry(entry)
}

func (l *lister) file(at string, entry tree.Entry) error {
	file, err := os.OpenFile(filepath.Join(l.merged, at), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		entry.Type = tree.Other
		return l.w.Entry(entry)
	}
	if info.Size() > MaxDigested {
		entry.Size = uint64(info.Size())
		return l.w.Entry(entry)
	}
	sum := sha256.New()
	read, err := io.Copy(sum, io.LimitReader(file, MaxDigested))
	if err != nil {
		return err
	}
	entry.Size = uint64(read) // somebody may be writing to it
	if err := l.w.Entry(entry); err != nil {
		return err
	}
	return l.w.Data(sum.Sum(nil))
}

// isReplaced says of a directory of the layer that it hides what is below it, or shows it at another place than it
// was: the kernel's marks of that are overlayfs's own.
func isReplaced(upper string) bool {
	var mark [2]byte
	if n, err := unix.Lgetxattr(upper, "trusted.overlay.opaque", mark[:]); err == nil && n == 1 && mark[0] == 'y' {
		return true
	}
	_, err := unix.Lgetxattr(upper, "trusted.overlay.redirect", nil)
	return err == nil
}

func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// isCovered says whether something is mounted at a path, which is no part of the copy. Whoever serves that is not asked:
// he may never answer.
func (l *lister) isCovered(at string) bool {
	mount, err := mountOf(filepath.Join(l.merged, at))
	return err == nil && mount != l.mount
}

func mountOf(path string) (uint64, error) {
	var info unix.Statx_t
	const unasked = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_STATX_DONT_SYNC
	if err := unix.Statx(unix.AT_FDCWD, path, unasked, unix.STATX_MNT_ID, &info); err != nil {
		return 0, &fs.PathError{Op: "statx", Path: path, Err: err}
	}
	return info.Mnt_id, nil
}

func lstat(path string) (*unix.Stat_t, error) {
	var info unix.Stat_t
	if err := unix.Lstat(path, &info); err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return &info, nil
}

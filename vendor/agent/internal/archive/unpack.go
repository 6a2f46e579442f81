// Package archive unpacks the tar archive that a guest's root begins with.
package archive

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// BufferSize is that of a bufio.Reader which Unpack reads from as it is.
const BufferSize = 64 << 10

// Existing says what becomes of a file or link that is already where an entry of an archive is to be.
type Existing int

const (
	Replaced Existing = iota
	Kept
)

// Unpack writes the directories, files and symbolic links of a tar archive under dir, and the parents
// that the archive does not name, and returns the names of the files and links. No link under dir is followed.
// Another kind of entry is an error. What follows the archive is not read when a bufio.Reader of BufferSize brings
// it.
//
// Every start waits for it, so the system is asked for no more than each entry needs: os.OpenFile and
// os.Symlink take four times as long for the same files under emulation.
func Unpack(archive io.Reader, dir string, existing Existing) (made []string, err error) {
	tree, err := OpenTree(dir)
	if err != nil {
		return nil, err
	}
	u := unpacker{tree: tree, existing: existing, parents: map[string]int{}, buffer: make([]byte, 64<<10)}
	defer u.close()
	entries := reader{from: bufio.NewReaderSize(archive, BufferSize)}
	for {
		entry, err := entries.next()
		if err == io.EOF {
			return made, nil
		}
		if err == nil {
			err = u.unpack(entry, &entries)
		}
		if err != nil {
			return made, fmt.Errorf("%s: %w", entry.name, err)
		}
		if entry.kind != folder {
			made = append(made, entry.name)
		}
	}
}

type unpacker struct {
	tree     Tree
	existing Existing
	// parents are open directories by their path in the archive.
	parents map[string]int
	buffer  []byte
}

func (u *unpacker) close() {
	for _, fd := range u.parents {
		unix.Close(fd)
	}
	u.tree.Close()
}

func (u *unpacker) unpack(entry entry, content io.Reader) error {
	name := path.Join("/", entry.name) // rooted first, so that ".." stays inside
	if entry.kind == folder {
		return u.folder(name, os.FileMode(entry.mode))
	}
	directory, base := path.Split(name)
	if base == "" {
		return errMalformed
	}
	parent, err := u.parent(directory)
	if err != nil {
		return err
	}
	switch entry.kind {
	case regular:
		return u.file(parent, base, entry.mode, content)
	case symlink:
		return u.create(parent, base, func() error {
			return unix.Symlinkat(entry.link, parent, base)
		})
	}
	return fmt.Errorf("entry of kind %q", entry.kind)
}

func (u *unpacker) folder(name string, mode os.FileMode) error {
	fd, made, err := u.tree.Directory(name, mode)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if made || u.existing == Kept {
		return nil
	}
	return unix.Fchmodat(fd, ".", systemMode(mode), 0)
}

// parent opens a directory once, since hundreds of links share one.
func (u *unpacker) parent(directory string) (int, error) {
	if fd, ok := u.parents[directory]; ok {
		return fd, nil
	}
	fd, _, err := u.tree.Directory(directory, 0o755)
	if err == nil {
		u.parents[directory] = fd
	}
	return fd, err
}

func (u *unpacker) file(parent int, base string, mode uint32, content io.Reader) error {
	fd := -1
	err := u.create(parent, base, func() (err error) {
		fd, err = unix.Openat(parent, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, mode)
		return err
	})
	if err != nil || fd < 0 {
		return err
	}
	return errors.Join(u.fill(fd, content), unix.Close(fd))
}

func (u *unpacker) fill(fd int, content io.Reader) error {
	for {
		n, err := content.Read(u.buffer)
		for part := u.buffer[:n]; len(part) > 0; {
			written, err := unix.Write(fd, part)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return err
			}
			part = part[written:]
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// create makes a file unless one is kept, which is no error then.
func (u *unpacker) create(parent int, base string, create func() error) error {
	if u.existing == Replaced {
		return Replacing(parent, base, create)
	}
	if err := create(); err != unix.EEXIST {
		return err
	}
	return nil
}

// Replacing makes a file in the place of one that is in the way.
func Replacing(parent int, base string, create func() error) error {
	err := create()
	if err != unix.EEXIST {
		return err
	}
	err = unix.Unlinkat(parent, base, 0)
	if err == unix.EISDIR {
		err = unix.Unlinkat(parent, base, unix.AT_REMOVEDIR)
	}
	if err != nil {
		return err
	}
	return create()
}

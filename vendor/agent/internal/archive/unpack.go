// Package archive unpacks the tar archive that a guest's root begins with.
package archive

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Unpack writes the directories, files and symbolic links of a tar archive under dir, and the parents
// that the archive does not name. A file or link that is there already is replaced. Another kind of
// entry is an error.
//
// Every start waits for it, so the system is asked for no more than each entry needs: os.OpenFile and
// os.Symlink take four times as long for the same files under emulation.
func Unpack(archive io.Reader, dir string) error {
	u := unpacker{dir: dir, parents: map[string]int{}, buffer: make([]byte, 64<<10)}
	defer u.close()
	entries := reader{from: bufio.NewReaderSize(archive, 64<<10)}
	for {
		entry, err := entries.next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = u.unpack(entry, &entries)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", entry.name, err)
		}
	}
}

type unpacker struct {
	dir string
	// parents are open directories by their path in the archive.
	parents map[string]int
	buffer  []byte
}

func (u *unpacker) close() {
	for _, fd := range u.parents {
		unix.Close(fd)
	}
}

func (u *unpacker) unpack(entry entry, content io.Reader) error {
	name := path.Join("/", entry.name) // rooted first, so that ".." stays inside
	if entry.kind == folder {
		at := filepath.Join(u.dir, name)
		if err := os.MkdirAll(at, os.FileMode(entry.mode)); err != nil {
			return err
		}
		return os.Chmod(at, os.FileMode(entry.mode))
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
		return replacing(parent, base, func() error {
			return unix.Symlinkat(entry.link, parent, base)
		})
	}
	return fmt.Errorf("entry of kind %q", entry.kind)
}

// parent opens a directory once, since hundreds of links share one.
func (u *unpacker) parent(directory string) (int, error) {
	if fd, ok := u.parents[directory]; ok {
		return fd, nil
	}
	at := filepath.Join(u.dir, directory)
	if err := os.MkdirAll(at, 0o755); err != nil {
		return -1, err
	}
	fd, err := unix.Open(at, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		u.parents[directory] = fd
	}
	return fd, err
}

func (u *unpacker) file(parent int, base string, mode uint32, content io.Reader) error {
	var fd int
	err := replacing(parent, base, func() (err error) {
		fd, err = unix.Openat(parent, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, mode)
		return err
	})
	if err != nil {
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

// replacing makes a file in the place of one that is in the way.
func replacing(parent int, base string, create func() error) error {
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

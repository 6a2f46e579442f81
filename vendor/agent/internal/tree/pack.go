package tree

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Pack writes the file at root, or the directory and all below it, and follows no symbolic link. What
// vanishes meanwhile is left out, as if it had gone before, and so is what copies have under way.
// withAttributes is for readers that know of them.
func Pack(w *Writer, root string, withAttributes bool) error {
	// With its head, a full record of content has just the size of a frame to the host.
	p := packer{w: w, root: root, withAttributes: withAttributes, seen: map[inode]uint64{}, buffer: make([]byte, MaxData-recordHead)}
	info, err := lstat(root)
	if err != nil {
		return err
	}
	if err := p.pack("", info); err != nil {
		return err
	}
	return w.End()
}

// List writes an entry for each name in a directory.
func List(w *Writer, directory string) error {
	names, err := NamesIn(directory)
	if err != nil {
		return err
	}
	for _, name := range names {
		at := filepath.Join(directory, name)
		info, err := lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		entry := EntryOf(name, info)
		if entry.Type == Symlink {
			entry.Target, _ = os.Readlink(at)
		}
		if err := w.Entry(entry); err != nil {
			return err
		}
	}
	return w.End()
}

// PackFile writes a regular file under a name, with its content. What is none, or is gone, is written as Other.
func PackFile(w *Writer, at, name string) error {
	other := Entry{Type: Other, Name: name}
	// Without O_NONBLOCK a named pipe would hold this up for ever.
	file, err := os.OpenFile(at, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return w.Entry(other)
	}
	defer file.Close()
	var info unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &info); err != nil {
		return err
	}
	if info.Mode&unix.S_IFMT != unix.S_IFREG {
		return w.Entry(other)
	}
	if err := w.Entry(EntryOf(name, &info)); err != nil {
		return err
	}
	p := packer{w: w, buffer: make([]byte, MaxData-recordHead)}
	return p.content(file)
}

type inode struct{ device, number uint64 }

type packer struct {
	w    *Writer
	root string
	// withAttributes: those of files and directories are written, too.
	withAttributes bool
	// seen are files with several names, by the ID that the first of them was given.
	seen   map[inode]uint64
	buffer []byte
	// names and value are room for attributes, once a file has any.
	names, value []byte
}

func (p *packer) pack(name string, info *unix.Stat_t) error {
	entry := EntryOf(name, info)
	at := p.root // as it was given: a slash at its end follows a link to a directory
	if name != "" {
		at = filepath.Join(at, name)
	}
	switch entry.Type {
	case File:
		return p.file(at, entry, info)
	case Symlink:
		target, err := os.Readlink(at)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EINVAL) {
			return nil
		}
		if err != nil {
			return err
		}
		entry.Target = target
	case Directory:
		return p.directory(at, entry)
	}
	return p.w.Entry(entry)
}

func (p *packer) directory(at string, entry Entry) error {
	names, err := NamesIn(at)
	if err != nil && entry.Name != "" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := p.w.Entry(entry); err != nil {
		return err
	}
	if err := p.attributesOf(at); err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, stagePrefix) {
			continue
		}
		info, err := lstat(filepath.Join(at, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = p.pack(filepath.Join(entry.Name, name), info)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) file(at string, entry Entry, info *unix.Stat_t) error {
	id := inode{info.Dev, info.Ino}
	if info.Nlink > 1 {
		known, found := p.seen[id]
		if found {
			entry.Type, entry.ID = Link, known
			return p.w.Entry(entry)
		}
	}
	// Without O_NONBLOCK a named pipe that took the file's place would hold this up for ever.
	file, err := os.OpenFile(at, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) && entry.Name != "" {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if info.Nlink > 1 {
		entry.ID = uint64(len(p.seen) + 1)
		p.seen[id] = entry.ID
	}
	if err := p.w.Entry(entry); err != nil {
		return err
	}
	if p.withAttributes {
		if err := p.attributes(file); err != nil {
			return err
		}
	}
	return p.content(file)
}

// content writes what the file holds, and no hole's zeros where its file system knows of holes.
func (p *packer) content(file *os.File) error {
	fd := int(file.Fd())
	for at := int64(0); ; {
		data, err := unix.Seek(fd, at, unix.SEEK_DATA)
		switch {
		case err == unix.ENXIO: // no data from here on
			end, err := unix.Seek(fd, 0, io.SeekEnd)
			if err == nil && end > at {
				err = p.w.Hole(end - at)
			}
			return err
		case err != nil: // as in /proc
			_, err = p.data(file, at, 1<<62)
			return err
		}
		if data > at {
			if err := p.w.Hole(data - at); err != nil {
				return err
			}
		}
		hole, err := unix.Seek(fd, data, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		at, err = p.data(file, data, hole)
		if err != nil || at < hole {
			return err
		}
	}
}

// data writes the bytes from one place up to another and says how far it came; a file may have shrunk.
func (p *packer) data(file *os.File, from, to int64) (int64, error) {
	for from < to {
		n, err := file.ReadAt(p.buffer[:min(int64(len(p.buffer)), to-from)], from)
		if n > 0 {
			if err := p.w.Data(p.buffer[:n]); err != nil {
				return from, err
			}
			from += int64(n)
		}
		if err == io.EOF {
			return from, nil
		}
		if err != nil {
			return from, err
		}
	}
	return from, nil
}

// EntryOf is the entry of a file, without where it leads.
func EntryOf(name string, info *unix.Stat_t) Entry {
	kind := Other
	switch info.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		kind = File
	case unix.S_IFDIR:
		kind = Directory
	case unix.S_IFLNK:
		kind = Symlink
	}
	return Entry{
		Type:        kind,
		Mode:        uint16(info.Mode & 0o7777),
		Size:        uint64(info.Size),
		Seconds:     info.Mtim.Sec,
		Nanoseconds: uint32(info.Mtim.Nsec),
		UID:         info.Uid,
		GID:         info.Gid,
		Name:        name,
	}
}

func lstat(path string) (*unix.Stat_t, error) {
	var info unix.Stat_t
	if err := unix.Lstat(path, &info); err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return &info, nil
}

// NamesIn is sorted, so that a tree is always the same stream.
func NamesIn(directory string) ([]string, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names, nil
}

package tree

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// stagePrefix begins the names of directories in which trees are put together. A tree may be copied to below
// itself, or onto a mount of what it comes from: without them it has an end.
const stagePrefix = ".sbx-copy-"

// Owner is whom what is unpacked belongs to; nil keeps the owners of the tree.
type Owner struct{ UID, GID int }

// Made says what became of a tree.
type Made struct {
	// AttributesLeftOut counts those that the file system did not take.
	AttributesLeftOut int `json:"attributesLeftOut"`
}

// Unpack makes the tree at target. It is put together in a directory beside it, or in it where it is one
// that the tree is merged with, and moved into place when it is whole: of a tree that fails, nothing is
// there. A directory that is there already keeps its own mode and owner, other files are replaced.
func Unpack(r *Reader, target string, owner *Owner) (made Made, err error) {
	stage, err := os.MkdirTemp(stageBeside(target), stagePrefix)
	if err != nil {
		return Made{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }()
	u := unpacker{root: filepath.Join(stage, "tree"), owner: owner, links: map[uint64]string{}}
	if err := u.all(r); err != nil {
		return Made{}, err
	}
	if err := placeable(u.root, target); err != nil {
		return Made{}, err
	}
	return u.made, place(u.root, target)
}

func stageBeside(target string) string {
	if info, err := lstat(target); err == nil && info.Mode&unix.S_IFMT == unix.S_IFDIR {
		return target
	}
	return filepath.Dir(target)
}

type unpacker struct {
	root  string
	owner *Owner
	// links are the paths of files with several names, by ID.
	links map[uint64]string
	// file is the one whose content comes, with the entry that opened it.
	file  *os.File
	entry Entry
	at    int64
	// bearer is what the next attributes are of, and names is how long the names of those so far are.
	bearer string
	names  int
	made   Made
	// open are directories that get their own time when all in them is made.
	open []Entry
}

func (u *unpacker) all(r *Reader) (err error) {
	defer func() {
		if u.file != nil {
			u.file.Close()
		}
	}()
	for first := true; ; first = false {
		record, err := r.Next()
		if err != nil {
			return err
		}
		if record.Kind != KindAttribute {
			u.bearer, u.names = "", 0
		}
		switch record.Kind {
		case KindAttribute:
			err = u.attribute(record.Attribute)
		case KindEntry:
			if first != (record.Entry.Name == "") {
				return errMalformed
			}
			err = errors.Join(u.close(), u.enter(record.Entry))
		case KindData:
			err = u.data(record.Data)
		case KindHole:
			err = u.hole(record.Hole)
		case KindEnd:
			if first {
				return errMalformed
			}
			return errors.Join(u.close(), u.leave(""))
		}
		if err != nil {
			return err
		}
	}
}

func (u *unpacker) enter(e Entry) error {
	if err := u.leave(e.Name); err != nil {
		return err
	}
	at := u.path(e.Name)
	switch e.Type {
	case Directory:
		u.open = append(u.open, e)
		u.bearer = at
		return os.Mkdir(at, 0o700)
	case File:
		file, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		u.file, u.entry, u.at, u.bearer = file, e, 0, at
		if e.ID != 0 {
			u.links[e.ID] = at
		}
		return nil
	case Symlink:
		return errors.Join(os.Symlink(e.Target, at), u.settle(e))
	case Link:
		first, known := u.links[e.ID]
		if !known {
			return errMalformed
		}
		return os.Link(first, at)
	}
	return nil // nothing to carry
}

func (u *unpacker) path(name string) string {
	if name == "" {
		return u.root
	}
	return u.root + "/" + name
}

func (u *unpacker) data(b []byte) error {
	if u.file == nil {
		return errMalformed
	}
	n, err := u.file.WriteAt(b, u.at)
	u.at += int64(n)
	return err
}

func (u *unpacker) hole(bytes int64) error {
	if u.file == nil || u.at+bytes < u.at {
		return errMalformed
	}
	u.at += bytes
	return u.file.Truncate(u.at)
}

// close ends the file whose content came.
func (u *unpacker) close() error {
	if u.file == nil {
		return nil
	}
	file := u.file
	u.file = nil
	return errors.Join(file.Close(), u.settle(u.entry))
}

// leave ends the directories that the next name is not in; "" is in none.
func (u *unpacker) leave(next string) error {
	for len(u.open) > 0 {
		last := u.open[len(u.open)-1]
		if next != "" && (last.Name == "" || strings.HasPrefix(next, last.Name+"/")) {
			return nil
		}
		u.open = u.open[:len(u.open)-1]
		if err := u.settle(last); err != nil {
			return err
		}
	}
	return nil
}

// settle gives a file its owner, which takes the set-user-ID bit away, then its mode, then its time.
func (u *unpacker) settle(e Entry) error {
	at := u.path(e.Name)
	uid, gid := int(e.UID), int(e.GID)
	if u.owner != nil {
		uid, gid = u.owner.UID, u.owner.GID
	}
	if err := os.Lchown(at, uid, gid); err != nil {
		return err
	}
	if e.Type != Symlink {
		if err := unix.Chmod(at, uint32(e.Mode)); err != nil {
			return fmt.Errorf("chmod: %w", err)
		}
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: e.Seconds, Nsec: int64(e.Nanoseconds)}}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, at, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("utimensat: %w", err)
	}
	return nil
}

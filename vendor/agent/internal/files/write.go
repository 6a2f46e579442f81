package files

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/session"
	"sbx.dev/agent/internal/tree"
)

// write makes stream 0 the content of the file at a path, symbolic links followed. A file that is not there
// or regular is replaced when the content is whole: of a write that fails nothing is seen, and who has the
// old file open keeps it. Anything else, such as a device or a file of /proc, is written to as it is.
func write(call *session.Call, r request) (any, error) {
	content := contentOf(call)
	owner, err := r.owner()
	if err != nil {
		return nil, err
	}
	path, err := followed(r.path())
	if err != nil {
		return nil, err
	}
	var old unix.Stat_t
	err = unix.Lstat(path, &old)
	fresh := err == unix.ENOENT
	switch {
	case err != nil && !fresh:
		return nil, err
	case !fresh && old.Mode&unix.S_IFMT == unix.S_IFDIR:
		return nil, unix.EISDIR
	case !fresh && old.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, writeInPlace(path, content)
	}
	mode := r.mode(0o644)
	if !fresh {
		mode = r.mode(old.Mode & 0o7777)
		owner = tree.Owner{UID: int(old.Uid), GID: int(old.Gid)}
	}
	part, err := os.CreateTemp(filepath.Dir(path), ".sbx-write-")
	if err != nil {
		if !fresh { // file systems of the kernel's take no other files, a mounted file may lie in such a one
			err = errors.Join(writeInPlace(path, content), modeOf(path, r.Mode))
		}
		return nil, err
	}
	defer os.Remove(part.Name()) // gone already after a rename
	_, err = io.Copy(part, content)
	err = errors.Join(err, part.Chown(owner.UID, owner.GID), unix.Fchmod(int(part.Fd()), mode))
	if err == nil {
		err = unix.Rename(part.Name(), path)
	}
	if err == unix.EBUSY { // a file that is mounted cannot be replaced
		if _, err = part.Seek(0, io.SeekStart); err == nil {
			err = errors.Join(writeInPlace(path, part), modeOf(path, r.Mode))
		}
	}
	return nil, errors.Join(err, part.Close())
}

// followed is where the path leads, which need not be there.
func followed(path string) (string, error) {
	for range 40 { // more links than the kernel follows
		target, err := os.Readlink(path)
		if err != nil {
			return path, nil // no link; what else it is, is seen later
		}
		if !filepath.IsAbs(target) {
			target = filepath.Dir(path) + "/" + target // not cleaned: ".." behind a link is above its target
		}
		path = target
	}
	return "", unix.ELOOP
}

func writeInPlace(path string, content io.Reader) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

func modeOf(path string, mode *uint32) error {
	if mode == nil {
		return nil
	}
	return unix.Chmod(path, *mode&0o7777)
}

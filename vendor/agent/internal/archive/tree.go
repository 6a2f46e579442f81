package archive

import (
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Tree is a directory below which no link is followed. On a kept disk a guest may have planted links in
// its earlier life, and what the host gives has to be where it says.
type Tree struct{ fd int }

// OpenTree opens a directory, to which links may lead, as a tree.
func OpenTree(dir string) (Tree, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return Tree{fd}, err
}

// Close closes the tree, and no directory that was opened in it.
func (t Tree) Close() error { return unix.Close(t.fd) }

// Directory opens a directory by its path in the tree, and says whether it had to be made. Then it has the
// mode, and its parents 0755. Whatever else is in the way is removed.
func (t Tree) Directory(name string, mode fs.FileMode) (fd int, made bool, err error) {
	name = strings.TrimPrefix(path.Join("/", name), "/") // rooted first, so that ".." stays inside
	if name == "" {
		name = "."
	}
	if fd, err := open(t.fd, name); err == nil {
		return fd, false, nil
	}
	at := t.fd
	for rest := name; rest != ""; {
		var step string
		step, rest, _ = strings.Cut(rest, "/")
		fd, made, err = enter(at, step)
		if at != t.fd {
			unix.Close(at)
		}
		if err != nil {
			return -1, false, err
		}
		at = fd
	}
	if made {
		err = unix.Fchmodat(fd, ".", systemMode(mode), 0) // whatever the umask
	}
	if err != nil {
		unix.Close(fd)
		return -1, false, err
	}
	return fd, made, nil
}

// RemoveMatching removes the files of a directory in the tree whose names match a pattern of path.Match. There are
// none where a link leads.
func (t Tree) RemoveMatching(name, pattern string) error {
	place, err := open(t.fd, name)
	if isNowhere(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(place)
	fd, err := unix.Openat(place, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	directory := os.NewFile(uintptr(fd), name)
	defer directory.Close()
	names, err := directory.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, each := range names {
		matches, err := path.Match(pattern, each)
		if err != nil {
			return err
		}
		if !matches {
			continue
		}
		// A directory is no such file.
		if err := unix.Unlinkat(place, each, 0); err != nil && err != unix.EISDIR {
			return err
		}
	}
	return nil
}

// Stamp tells a file from another one of its name, and from itself once somebody changed it.
type Stamp struct{ Inode, ChangedNs uint64 }

// Stamp is that of a file or link in the tree.
func (t Tree) Stamp(name string) (Stamp, error) {
	parent, base, err := t.parent(name)
	if err != nil {
		return Stamp{}, err
	}
	defer unix.Close(parent)
	return stamp(parent, base)
}

// RemoveUnchanged removes a file or link that has the stamp yet.
func (t Tree) RemoveUnchanged(name string, known Stamp) error {
	parent, base, err := t.parent(name)
	if isNowhere(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	found, err := stamp(parent, base)
	if err == nil && found == known {
		err = unix.Unlinkat(parent, base, 0)
	}
	if err == unix.ENOENT || err == unix.EISDIR {
		return nil
	}
	return err
}

func (t Tree) parent(name string) (fd int, base string, err error) {
	directory, base := path.Split(path.Join("/", name))
	directory = strings.Trim(directory, "/")
	if directory == "" {
		directory = "."
	}
	fd, err = open(t.fd, directory)
	return fd, base, err
}

func stamp(parent int, base string) (Stamp, error) {
	var found unix.Stat_t
	if err := unix.Fstatat(parent, base, &found, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return Stamp{}, err
	}
	return Stamp{found.Ino, uint64(found.Ctim.Nano())}, nil
}

// isNowhere says that there is no such directory in the tree, but a link, perhaps.
func isNowhere(err error) bool {
	return err == unix.ENOENT || err == unix.ENOTDIR || err == unix.ELOOP
}

func open(at int, name string) (int, error) {
	return unix.Openat2(at, name, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
}

// enter opens a directory by its name alone.
func enter(at int, name string) (fd int, made bool, err error) {
	fd, err = open(at, name)
	if err == unix.ELOOP || err == unix.ENOTDIR {
		if err := unix.Unlinkat(at, name, 0); err != nil {
			return -1, false, err
		}
		err = unix.ENOENT
	}
	if err != unix.ENOENT {
		return fd, false, err
	}
	if err := unix.Mkdirat(at, name, 0o755); err != nil {
		return -1, false, err
	}
	fd, err = open(at, name)
	return fd, true, err
}

// systemMode words a mode as chmod(2) does.
func systemMode(mode fs.FileMode) uint32 {
	bits := uint32(mode.Perm())
	if mode&fs.ModeSticky != 0 {
		bits |= unix.S_ISVTX
	}
	return bits
}

// Package files serves what the host does with the guest's files.
package files

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/process"
	"sbx.dev/agent/internal/session"
	"sbx.dev/agent/internal/tree"
)

// Methods are what the host can do with the guest's files. All of them act as root.
func Methods() map[string]session.Method {
	methods := map[string]session.Method{}
	for name, act := range map[string]func(*session.Call, request) (any, error){
		"read":    read,
		"write":   write,
		"stat":    stat,
		"list":    list,
		"mkdir":   mkdir,
		"remove":  remove,
		"rename":  rename,
		"copy":    copyTree,
		"chmod":   chmod,
		"chown":   chown,
		"symlink": symlink,
		"pack":    pack,
		"unpack":  unpack,
	} {
		methods[name] = func(call *session.Call) (any, error) {
			r, err := parse(call)
			if err != nil {
				return nil, err
			}
			ok, err := act(call, r)
			return ok, failure(err)
		}
	}
	return methods
}

func read(call *session.Call, r request) (any, error) {
	// A named pipe would otherwise block the opening for ever.
	file, err := os.OpenFile(r.path(), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, unix.EISDIR
	case !info.Mode().IsRegular():
		return nil, &session.Failure{Code: "not-a-file", Message: "not a regular file"}
	}
	if r.Offset > 0 {
		if _, err := file.Seek(r.Offset, io.SeekStart); err != nil {
			return nil, err
		}
	}
	if r.Length != nil {
		return nil, call.Output.CopyFrom(io.LimitReader(file, *r.Length))
	}
	return nil, call.Output.CopyFrom(file)
}

// info is what "stat" answers.
type info struct {
	// Kind is file, directory, symlink or other.
	Kind string `json:"kind"`
	Size int64  `json:"size"`
	// Mode holds the permission bits, with set-user-ID, set-group-ID and sticky.
	Mode uint32 `json:"mode"`
	// MtimeMs counts from 1970.
	MtimeMs int64  `json:"mtimeMs"`
	UID     uint32 `json:"uid"`
	GID     uint32 `json:"gid"`
	// Target is where a symbolic link leads.
	Target []byte `json:"target,omitempty"`
	// Attributes says that this agent knows of those in trees, which older ones refuse.
	Attributes bool `json:"attributes"`
}

func stat(_ *session.Call, r request) (any, error) {
	var found unix.Stat_t
	examine := unix.Lstat
	if r.Follow {
		examine = unix.Stat
	}
	if err := examine(r.path(), &found); err != nil {
		return nil, err
	}
	answer := info{
		Kind:    "other",
		Size:    found.Size,
		Mode:    found.Mode & 0o7777,
		MtimeMs: found.Mtim.Sec*1000 + found.Mtim.Nsec/1_000_000,
		UID:     found.Uid,
		GID:     found.Gid,

		Attributes: true,
	}
	switch found.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		answer.Kind = "file"
	case unix.S_IFDIR:
		answer.Kind = "directory"
	case unix.S_IFLNK:
		answer.Kind = "symlink"
		target, err := os.Readlink(r.path())
		if err != nil {
			return nil, err
		}
		answer.Target = []byte(target)
	}
	return answer, nil
}

func mkdir(_ *session.Call, r request) (any, error) {
	owner, err := r.owner()
	if err != nil {
		return nil, err
	}
	return nil, makeDirectory(filepath.Clean(r.path()), r.Recursive, r.mode(0o755), owner)
}

// makeDirectory gives each directory that it makes the mode and the owner.
func makeDirectory(path string, recursive bool, mode uint32, owner tree.Owner) error {
	err := unix.Mkdir(path, 0o700)
	if recursive && err == unix.ENOENT && path != filepath.Dir(path) {
		if err := makeDirectory(filepath.Dir(path), true, mode, owner); err != nil {
			return err
		}
		err = unix.Mkdir(path, 0o700)
	}
	if recursive && err == unix.EEXIST {
		var found unix.Stat_t
		if err := unix.Stat(path, &found); err != nil || found.Mode&unix.S_IFMT == unix.S_IFDIR {
			return err
		}
	}
	if err != nil {
		return err
	}
	return errors.Join(os.Lchown(path, owner.UID, owner.GID), unix.Chmod(path, mode))
}

func remove(_ *session.Call, r request) (any, error) {
	path := filepath.Clean(r.path())
	if path == "/" {
		return nil, &session.Failure{Code: "denied", Message: "it is the root of the guest"}
	}
	if !r.Recursive {
		return nil, os.Remove(path)
	}
	if err := unix.Lstat(path, new(unix.Stat_t)); err != nil {
		return nil, err
	}
	return nil, os.RemoveAll(path)
}

func rename(_ *session.Call, r request) (any, error) {
	err := unix.Rename(r.path(), string(r.To))
	if err == unix.EXDEV {
		err = &session.Failure{Code: "other-file-system", Message: "the other path is on another file system"}
	}
	return nil, err
}

func chmod(_ *session.Call, r request) (any, error) {
	return nil, unix.Chmod(r.path(), r.mode(0))
}

func chown(_ *session.Call, r request) (any, error) {
	uid, gid, err := process.Owner(r.User)
	if err != nil {
		return nil, err
	}
	return nil, os.Chown(r.path(), uid, gid)
}

func symlink(_ *session.Call, r request) (any, error) {
	owner, err := r.owner()
	if err != nil {
		return nil, err
	}
	if err := os.Symlink(string(r.Target), r.path()); err != nil {
		return nil, err
	}
	return nil, os.Lchown(r.path(), owner.UID, owner.GID)
}

func list(call *session.Call, r request) (any, error) {
	return records(call, func(w *tree.Writer) error { return tree.List(w, r.path()) })
}

func pack(call *session.Call, r request) (any, error) {
	return records(call, func(w *tree.Writer) error { return tree.Pack(w, r.path(), r.Attributes) })
}

func records(call *session.Call, write func(*tree.Writer) error) (any, error) {
	out := bufio.NewWriterSize(call.Output, tree.MaxData)
	return nil, errors.Join(write(tree.NewWriter(out)), out.Flush())
}

func unpack(call *session.Call, r request) (any, error) {
	content := contentOf(call)
	owner, err := r.owner()
	if err != nil {
		return nil, err
	}
	return tree.Unpack(tree.NewReader(bufio.NewReaderSize(content, tree.MaxData)), r.path(), &owner)
}

// copyTree packs and unpacks; a signal ends both.
func copyTree(call *session.Call, r request) (any, error) {
	from, to := io.Pipe()
	call.OnEvent(func(event session.Event) {
		if event.Signal != 0 {
			to.CloseWithError(errGivenUp)
		}
	})
	packed := make(chan error, 1)
	go func() {
		out := bufio.NewWriterSize(to, tree.MaxData)
		err := errors.Join(tree.Pack(tree.NewWriter(out), r.path(), true), out.Flush())
		to.CloseWithError(err)
		packed <- err
	}()
	made, err := tree.Unpack(tree.NewReader(bufio.NewReaderSize(from, tree.MaxData)), string(r.To), nil)
	from.CloseWithError(err)
	if failed := <-packed; failed != nil && err == nil {
		return nil, failed
	}
	return made, err
}

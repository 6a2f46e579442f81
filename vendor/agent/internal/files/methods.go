package files

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"sbx.dev/agent/internal/session"
)

type request struct {
	Path string      `json:"path"`
	Mode fs.FileMode `json:"mode"`
}

// Read is the method "read": stream 1 brings the content of the regular file at path.
func Read(call *session.Call) (any, error) {
	r, err := parse(call)
	if err != nil {
		return nil, err
	}
	// A named pipe would otherwise block the opening for ever.
	file, err := os.OpenFile(r.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, failure(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &session.Failure{Code: "not-a-file", Message: "not a regular file"}
	}
	if err != nil {
		return nil, failure(err)
	}
	return nil, failure(call.Output.CopyFrom(file))
}

// Write is the method "write": stream 0 becomes the content of the file at path, which is made with
// mode when it does not exist.
func Write(call *session.Call) (any, error) {
	r, err := parse(call)
	if err != nil {
		return nil, err
	}
	return nil, failure(writeAll(r.Path, os.O_TRUNC, r.Mode.Perm(), call.Input))
}

// Info is what "stat" answers; a symbolic link is followed.
type Info struct {
	// Kind is file, directory or other.
	Kind string `json:"kind"`
	Size int64  `json:"size"`
	// Mode holds the permission bits.
	Mode fs.FileMode `json:"mode"`
	// ModifiedMs counts from 1970.
	ModifiedMs int64 `json:"modifiedMs"`
}

// Stat is the method "stat".
func Stat(call *session.Call) (any, error) {
	r, err := parse(call)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(r.Path)
	if err != nil {
		return nil, failure(err)
	}
	kind := "other"
	switch {
	case info.IsDir():
		kind = "directory"
	case info.Mode().IsRegular():
		kind = "file"
	}
	return Info{kind, info.Size(), info.Mode().Perm(), info.ModTime().UnixMilli()}, nil
}

func parse(call *session.Call) (request, error) {
	var r request
	if err := json.Unmarshal(call.Request, &r); err != nil {
		return r, err
	}
	if r.Path == "" {
		return r, errors.New("path is empty")
	}
	return r, nil
}

// failure turns a file system's error into one that the host can branch on.
func failure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return &session.Failure{Code: "not-found", Message: "no such file or directory"}
	case errors.Is(err, fs.ErrPermission):
		return &session.Failure{Code: "denied", Message: "permission denied"}
	case errors.Is(err, syscall.ENOSPC):
		return &session.Failure{Code: "no-space", Message: "no space left in the guest"}
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return &session.Failure{Code: "failed", Message: errno.Error()}
	}
	return err
}

func writeAll(path string, flag int, mode os.FileMode, content io.Reader) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|flag, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

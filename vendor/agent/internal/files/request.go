package files

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"sync/atomic"
	"syscall"

	"sbx.dev/agent/internal/process"
	"sbx.dev/agent/internal/session"
	"sbx.dev/agent/internal/tree"
)

// request has the fields of all methods. Paths are bytes, since they need not be UTF-8.
type request struct {
	Path []byte `json:"path"`
	// To is the other path of rename and copy, Target what a symbolic link is to lead to.
	To     []byte `json:"to"`
	Target []byte `json:"target"`
	// Mode nil leaves it to the method.
	Mode *uint32 `json:"mode"`
	// User is NAME or UID, with :GROUP if wanted; empty means root.
	User      string `json:"user"`
	Recursive bool   `json:"recursive"`
	Follow    bool   `json:"follow"`
	// Attributes: a tree has them.
	Attributes bool  `json:"attributes"`
	Offset     int64 `json:"offset"`
	// Length nil means all there is.
	Length *int64 `json:"length"`
}

func parse(call *session.Call) (request, error) {
	var r request
	if err := json.Unmarshal(call.Request, &r); err != nil {
		return r, err
	}
	if len(r.Path) == 0 {
		return r, errors.New("path is empty")
	}
	return r, nil
}

func (r request) path() string { return string(r.Path) }

func (r request) mode(otherwise uint32) uint32 {
	if r.Mode == nil {
		return otherwise
	}
	return *r.Mode & 0o7777
}

// owner of what the method makes.
func (r request) owner() (tree.Owner, error) {
	if r.User == "" {
		return tree.Owner{}, nil
	}
	uid, gid, err := process.Owner(r.User)
	return tree.Owner{UID: uid, GID: gid}, err
}

var errGivenUp = &session.Failure{Code: "given-up", Message: "given up"}

// content is stream 0 of a call. It fails instead of ending when the host has sent a signal: then what
// came is not all there was to come.
type content struct {
	call    *session.Call
	givenUp atomic.Bool
}

func contentOf(call *session.Call) *content {
	c := &content{call: call}
	call.OnEvent(func(event session.Event) {
		if event.Signal != 0 {
			c.givenUp.Store(true)
			go call.Input.Close() // tells the host, which must not be waited for here
		}
	})
	return c
}

func (c *content) Read(b []byte) (int, error) {
	n, err := c.call.Input.Read(b)
	if err == io.EOF && c.givenUp.Load() {
		err = errGivenUp
	}
	return n, err
}

// WriteTo implements io.WriterTo: as Read, without a copy between.
func (c *content) WriteTo(w io.Writer) (int64, error) {
	n, err := c.call.Input.WriteTo(w)
	if err == nil && c.givenUp.Load() {
		err = errGivenUp
	}
	return n, err
}

// failures are what the host can branch on, by what the kernel says.
var failures = []struct {
	errno syscall.Errno
	session.Failure
}{
	{syscall.ENOENT, session.Failure{Code: "not-found", Message: "no such file or directory"}},
	{syscall.EACCES, session.Failure{Code: "denied", Message: "permission denied"}},
	{syscall.EPERM, session.Failure{Code: "denied", Message: "operation not permitted"}},
	{syscall.EROFS, session.Failure{Code: "denied", Message: "the file system is read-only"}},
	{syscall.ENOSPC, session.Failure{Code: "no-space", Message: "no space left in the guest"}},
	{syscall.EDQUOT, session.Failure{Code: "no-space", Message: "the quota in the guest is used up"}},
	{syscall.EEXIST, session.Failure{Code: "exists", Message: "it is there already"}},
	{syscall.ENOTEMPTY, session.Failure{Code: "not-empty", Message: "the directory is not empty"}},
	{syscall.ENOTDIR, session.Failure{Code: "not-a-directory", Message: "not a directory"}},
	{syscall.EISDIR, session.Failure{Code: "is-a-directory", Message: "is a directory"}},
}

// failure turns a file system's error into one that the host can branch on.
func failure(err error) error {
	var known *session.Failure
	if err == nil || errors.As(err, &known) {
		return err
	}
	for _, entry := range failures {
		if errors.Is(err, entry.errno) {
			return &entry.Failure
		}
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return &session.Failure{Code: "failed", Message: errno.Error()}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return &failures[0].Failure
	}
	return err
}

package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"sbx.dev/agent/internal/session"
)

// A shell tells these two apart by the statuses 127 and 126.
const (
	notFound      = "not-found"
	notExecutable = "not-executable"
)

// lookUp finds the file that execvp(3) would run for name: a name with a slash is a path relative to
// dir, any other is searched for in path, where a file that may not be run is passed over but
// remembered.
func lookUp(name, path, dir string) (string, error) {
	if strings.Contains(name, "/") {
		if err := executable(absolute(name, dir)); err != nil {
			return "", refusal(name, err)
		}
		return name, nil
	}
	var denied error
	for _, entry := range strings.Split(path, ":") {
		if name == "" {
			break
		}
		if entry == "" { // POSIX: the current directory
			entry = "."
		}
		file := filepath.Join(entry, name)
		switch err := executable(absolute(file, dir)); {
		case err == nil && filepath.IsAbs(file):
			return file, nil
		case err == nil:
			return "./" + file, nil
		case errors.Is(err, syscall.EACCES):
			denied = err
		}
	}
	if denied != nil {
		return "", refusal(name, denied)
	}
	return "", &session.Failure{Code: notFound, Message: quote(name) + ": command not found"}
}

func absolute(file, dir string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}

func executable(file string) error {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return syscall.EISDIR
	case info.Mode()&0o111 == 0:
		return syscall.EACCES
	}
	return nil
}

// refusal says why a command did not start, in the words of a shell.
func refusal(name string, err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return &session.Failure{Code: notExecutable, Message: fmt.Sprintf("%s: %v", quote(name), err)}
	}
	code := notExecutable
	if errno == syscall.ENOENT || errno == syscall.ENOTDIR {
		code = notFound
	}
	return &session.Failure{Code: code, Message: quote(name) + ": " + errno.Error()}
}

// quote keeps a plain name as it is.
func quote(name string) string {
	for _, r := range name {
		if r <= ' ' || r == 0x7f || r == '"' || r == '\ufffd' {
			return fmt.Sprintf("%q", name)
		}
	}
	if name == "" {
		return `""`
	}
	return name
}

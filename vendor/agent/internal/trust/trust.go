// Package trust has commands believe the authority of an intercepting host. The files of the system
// are the host's business; here are the variables that point programs at bundles of certificates.
package trust

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
)

// Config is the part of "configure" that is about trust.
type Config struct {
	// Authority is the file with the authority's certificates in PEM.
	Authority string `json:"authority"`
	// Variables and the files that they name, unless a command brings its own.
	Variables map[string]string `json:"variables"`
	// extensions is the directory for extended bundles; a test puts another one in its place.
	extensions string
}

const extensions = "/run/sbx/trust"

// A bundle with all public roots has a fifth of a megabyte.
const maxBundle = 16 << 20

// Apply completes the environment of a command that starts in dir. A bundle that the command names is
// extended by the authority, in a copy: replaced, it would not trust any more what it was brought
// for, and left alone, it would not trust the host.
func (c *Config) Apply(env map[string]string, dir string) {
	if c == nil {
		return
	}
	for name, file := range c.Variables {
		own, set := env[name]
		if !set {
			env[name] = file
		} else if extended, ok := c.extend(own, dir); ok {
			env[name] = extended
		}
	}
}

// extend writes a copy of the bundle with the authority added; false when there is nothing to do, or
// nothing that can be done: a file that is missing is for the command to complain about.
func (c *Config) extend(bundle, dir string) (string, bool) {
	if bundle == "" {
		return "", false
	}
	if !filepath.IsAbs(bundle) {
		bundle = filepath.Join(dir, bundle)
	}
	authority, err := read(c.Authority)
	if err != nil {
		return "", false
	}
	content, err := read(bundle)
	if err != nil || bytes.Contains(content, bytes.TrimSpace(authority)) {
		return "", false
	}
	to := c.extensions
	if to == "" {
		to = extensions
	}
	digest := sha256.Sum256([]byte(bundle))
	path := filepath.Join(to, hex.EncodeToString(digest[:8])+".pem")
	both := append(append(content, '\n'), authority...)
	if err := replace(path, both); err != nil {
		return "", false
	}
	return path, true
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	// A pipe or a device would keep the command waiting, or have no end.
	if !info.Mode().IsRegular() || info.Size() > maxBundle {
		return nil, os.ErrInvalid
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxBundle))
}

// replace writes the file anew, never in part: another command may be reading it.
func replace(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "new-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // fails after the rename, as it should
	_, err = file.Write(content)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Chmod(file.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	return err
}

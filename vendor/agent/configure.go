package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// configure is all that the machine needs to know before its first command.
type configure struct {
	Hostname string `json:"hostname"`
	// TimeNs is the host's clock, nanoseconds since 1970.
	TimeNs  int64          `json:"timeNs"`
	Entropy []byte         `json:"entropy"`
	Network *networkConfig `json:"network"`
	// Trees are the host's read-only directories that get a writable layer on top, such as /usr.
	Trees []share `json:"trees"`
	// Mounts are the directories that the user named.
	Mounts []share `json:"mounts"`
	// Links of the root, such as bin → usr/bin.
	Links map[string]string `json:"links"`
	Files []file            `json:"files"`
}

// share is a 9p export of the host.
type share struct {
	Tag      string `json:"tag"`
	At       string `json:"at"`
	ReadOnly bool   `json:"readOnly"`
}

// file is a file, or a symbolic link, of the guest's own /etc.
type file struct {
	Path string `json:"path"`
	Data []byte `json:"data"`
	Link string `json:"link"`
}

// machine is the guest outside its commands.
type machine struct{ configured bool }

const root = "/newroot"

// transport is how 9p shares are mounted: large requests, because each is a round trip.
const transport = "trans=virtio,version=9p2000.L,msize=512000"

func (m *machine) configure(c configure) error {
	if m.configured {
		return errors.New("the machine is configured already")
	}
	m.configured = true
	reseed(c.Entropy)
	setClock(c.TimeNs)
	if err := unix.Sethostname([]byte(c.Hostname)); err != nil {
		return fmt.Errorf("hostname: %w", err)
	}
	if err := buildRoot(c); err != nil {
		return err
	}
	if err := enterRoot(); err != nil {
		return err
	}
	if err := bringUpLoopback(); err != nil {
		return err
	}
	if c.Network != nil {
		return bringUp(*c.Network)
	}
	return nil
}

// reseed gives the kernel entropy that no other guest has.
func reseed(entropy []byte) {
	pool, err := os.OpenFile("/dev/urandom", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer pool.Close()
	addEntropy(pool.Fd(), entropy)
}

func setClock(ns int64) {
	now := unix.NsecToTimespec(ns)
	unix.ClockSettime(unix.CLOCK_REALTIME, &now)
}

// buildRoot assembles the guest's file system under root.
func buildRoot(c configure) error {
	if err := mount("tmpfs", root, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	for _, dir := range []string{"dev", "proc", "sys", "etc", "run", "var/tmp", "var/log", "home", "mnt", "root", "tmp", "opt", "srv"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	os.Chmod(root+"/tmp", 0o1777)
	os.Chmod(root+"/var/tmp", 0o1777)
	os.Chmod(root+"/root", 0o700)
	for name, target := range c.Links {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			return err
		}
	}
	for _, tree := range c.Trees {
		if err := mountTree(tree); err != nil {
			return err
		}
	}
	for _, f := range c.Files {
		if err := writeFile(f); err != nil {
			return err
		}
	}
	for _, m := range c.Mounts {
		flags, options := uintptr(0), transport+",cache=mmap"
		if m.ReadOnly {
			flags |= unix.MS_RDONLY
		}
		if err := mount(m.Tag, filepath.Join(root, m.At), "9p", flags, options); err != nil {
			return err
		}
	}
	return nil
}

// mountTree puts a writable layer in memory over a read-only share. The host's tree does not change
// while a sandbox lives, so it may be cached without asking again.
func mountTree(tree share) error {
	lower, layer := "/lower"+tree.At, "/layer"+tree.At
	if err := mount(tree.Tag, lower, "9p", unix.MS_RDONLY, transport+",cache=loose"); err != nil {
		return err
	}
	if err := mount("tmpfs", layer, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	for _, dir := range []string{"/upper", "/work"} {
		if err := os.Mkdir(layer+dir, 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, layer, layer)
	return mount("overlay", filepath.Join(root, tree.At), "overlay", 0, options)
}

func mount(source, at, kind string, flags uintptr, options string) error {
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, at, kind, flags, options); err != nil {
		return fmt.Errorf("mount %s at %s: %w", source, at, err)
	}
	return nil
}

func writeFile(f file) error {
	path := filepath.Join(root, f.Path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if f.Link != "" {
		return os.Symlink(f.Link, path)
	}
	return os.WriteFile(path, f.Data, 0o644)
}

// enterRoot makes root the root of this process and of all that come after. A first file system
// cannot be pivoted away from, so it is covered instead.
func enterRoot() error {
	for _, dir := range []string{"/dev", "/proc", "/sys"} {
		if err := unix.Mount(dir, root+dir, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", dir, err)
		}
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	for _, m := range []struct{ kind, at, options string }{
		{"devpts", "/dev/pts", "ptmxmode=0666,mode=620,gid=5"},
		{"tmpfs", "/dev/shm", "mode=1777"},
		{"tmpfs", "/run", "mode=755"},
		{"cgroup2", "/sys/fs/cgroup", ""},
	} {
		if err := mount(m.kind, m.at, m.kind, 0, m.options); err != nil && m.kind != "cgroup2" {
			return err
		}
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		os.Symlink(target, "/dev/"+name)
	}
	return nil
}

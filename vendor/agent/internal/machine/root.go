package machine

import (
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/archive"
)

// One file system in memory holds the new root and the writable layers, so that one limit covers all
// that commands write.
const (
	scratch = "/scratch"
	newRoot = scratch + "/root"
)

// Most of the memory may be files, as many as fit: an inode limit by memory size would stop a
// package manager long before the memory does.
const scratchOptions = "mode=755,size=75%,nr_inodes=0"

// assembleRoot builds the guest's root under newRoot, but for its trees and what is the guest's own.
func assembleRoot(preparation Preparation, packed io.Reader) error {
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return err
	}
	if err := mount("tmpfs", scratch, "tmpfs", 0, scratchOptions); err != nil {
		return err
	}
	for _, d := range directories(preparation.Home) {
		at := filepath.Join(newRoot, d.path)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(at, d.mode); err != nil { // MkdirAll minds the umask
			return err
		}
	}
	for name, target := range preparation.Links {
		if err := os.Symlink(target, filepath.Join(newRoot, path.Base(name))); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{"var/run": "/run", "var/lock": "/run/lock"} {
		if err := os.Symlink(target, filepath.Join(newRoot, name)); err != nil {
			return err
		}
	}
	return unpackIntoLayers(preparation.Trees, packed)
}

// unpackIntoLayers puts what is below a tree into the layer that will lie over it.
func unpackIntoLayers(trees []Share, packed io.Reader) error {
	trees = inOrder(trees)
	for i, tree := range trees {
		upper, target := layer(i)+"/upper", filepath.Join(newRoot, tree.At)
		for _, at := range []string{upper, target} {
			if err := os.MkdirAll(at, 0o755); err != nil {
				return err
			}
		}
		if err := mount(upper, target, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	if err := unpack(packed); err != nil {
		return err
	}
	for _, tree := range slices.Backward(trees) {
		if err := unix.Unmount(filepath.Join(newRoot, tree.At), 0); err != nil {
			return err
		}
	}
	return nil
}

// layer is where the files of the tree with the index are kept, in the order of the mount points.
func layer(index int) string { return fmt.Sprintf("%s/layer%d", scratch, index) }

// completeRoot adds the trees, and the guest's own files.
func (m *Machine) completeRoot(trees []Share, packed io.Reader) error {
	for i, tree := range inOrder(trees) {
		if err := m.layTree(tree, layer(i)); err != nil {
			return err
		}
	}
	return unpack(packed)
}

func unpack(packed io.Reader) error {
	if err := archive.Unpack(packed, newRoot); err != nil {
		return fmt.Errorf("files of the root: %w", err)
	}
	return nil
}

type directory struct {
	path string
	mode os.FileMode
}

// directories of a root that is otherwise the host's /usr; parents come first.
func directories(home string) []directory {
	return []directory{
		{"/", 0o755},
		{"/dev", 0o755}, {"/etc", 0o755}, {"/home", 0o755}, {"/media", 0o755}, {"/mnt", 0o755},
		{"/opt", 0o755}, {"/proc", 0o555}, {"/run", 0o755}, {"/run/lock", 0o777 | os.ModeSticky},
		{"/srv", 0o755}, {"/sys", 0o555}, {"/tmp", 0o777 | os.ModeSticky}, {"/usr", 0o755},
		{"/var", 0o755}, {"/var/cache", 0o755}, {"/var/lib", 0o755}, {"/var/log", 0o755},
		{"/var/tmp", 0o777 | os.ModeSticky},
		{home, 0o700},
	}
}

// layTree mounts a tree with a writable layer over it. The tree is not expected to change while the
// guest lives, so it is cached without asking the host again.
func (m *Machine) layTree(tree Share, layer string) error {
	tree.ReadOnly = true
	lower, upper, work := layer+"/lower", layer+"/upper", layer+"/work"
	target := filepath.Join(newRoot, tree.At)
	for _, at := range []string{lower, upper, work, target} {
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
	}
	if err := m.attach(tree, lower, "loose"); err != nil {
		return err
	}
	options := "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work
	return mount("overlay", target, "overlay", unix.MS_NODEV, options)
}

const virtiofs = "virtiofs"

// attach mounts a share. A file daemon of virtiofs says itself what may be cached. With 9p, which QEMU
// serves, each request is an exit from the guest, hence the large messages.
func attach(share Share, target, cache string) error {
	flags := uintptr(unix.MS_NODEV)
	if share.ReadOnly {
		flags |= unix.MS_RDONLY
	}
	if share.Transport == virtiofs {
		return mount(share.Tag, target, virtiofs, flags, "")
	}
	return mount(share.Tag, target, "9p", flags, "trans=virtio,version=9p2000.L,msize=512000,cache="+cache)
}

// enterRoot makes newRoot the root. The kernel's first file system cannot be pivoted away, so it is
// covered. What is mounted below /dev, /proc and /sys comes along.
func enterRoot() error {
	for _, name := range []string{"/dev", "/proc", "/sys"} {
		if err := unix.Mount(name, newRoot+name, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", name, err)
		}
	}
	if err := mount(newRoot, newRoot, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if err := unix.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return unix.Chdir("/")
}

// mountLate adds the kernel's file systems that only commands need.
func mountLate() error {
	const guarded = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	for _, m := range []struct {
		kind, at string
		flags    uintptr
		options  string
	}{
		{"devpts", "/dev/pts", unix.MS_NOSUID | unix.MS_NOEXEC, "ptmxmode=0666,mode=620,gid=5"},
		{"tmpfs", "/dev/shm", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
		{"cgroup2", "/sys/fs/cgroup", guarded, ""},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := mount(m.kind, m.at, m.kind, m.flags, m.options); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, "/dev/"+name); err != nil && !os.IsExist(err) {
			return err
		}
	}
	return nil
}

// makeDirectory makes a mount point, with the parents it lacks.
func makeDirectory(at string) error {
	if !filepath.IsAbs(at) {
		return fmt.Errorf("mount point %q is not absolute", at)
	}
	return os.MkdirAll(at, 0o755)
}

// mountFile shows a file of the archive at another place, which may lie in a mount: nothing is written
// there but, where nothing is, an empty file to mount on. The file's first name is not needed then.
func mountFile(share Share) error {
	if err := makeDirectory(path.Dir(share.At)); err != nil {
		return err
	}
	place, err := os.OpenFile(share.At, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err == nil {
		err = place.Close()
	}
	if err != nil && !os.IsExist(err) {
		return fmt.Errorf("make a place for a file: %w", err)
	}
	if err := mount(share.File, share.At, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := mount("", share.At, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NODEV, ""); err != nil {
		return err
	}
	return os.Remove(share.File)
}

// inOrder sorts mount points so that one inside another comes after it.
func inOrder(shares []Share) []Share {
	sorted := slices.Clone(shares)
	slices.SortStableFunc(sorted, func(a, b Share) int {
		return strings.Count(path.Clean(a.At), "/") - strings.Count(path.Clean(b.At), "/")
	})
	return sorted
}

func mount(source, target, kind string, flags uintptr, options string) error {
	if err := unix.Mount(source, target, kind, flags, options); err != nil {
		return fmt.Errorf("mount %s at %s: %w", source, target, err)
	}
	return nil
}

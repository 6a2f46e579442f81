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
	"sbx.dev/agent/internal/disk"
)

// One file system holds the new root and the writable layers, so that one limit covers all that commands
// write. It is in memory, or on the guest's disk.
const (
	scratch = "/scratch"
	newRoot = scratch + "/root"
	// lowers are where the trees of the host are mounted.
	lowers = "/lower"
)

// Most of the memory may be files, as many as fit: an inode limit by memory size would stop a
// package manager long before the memory does.
const scratchOptions = "mode=755,size=75%,nr_inodes=0"

// assembleRoot builds the guest's root under newRoot, but for its trees and what is the guest's own. Where a kept
// disk has a root already, only what is missing is made.
func assembleRoot(preparation Preparation, packed io.Reader) error {
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return err
	}
	if err := mountScratch(preparation.Disk); err != nil {
		return err
	}
	tree, err := archive.OpenTree(scratch)
	if err != nil {
		return err
	}
	defer tree.Close()
	if preparation.Disk != nil {
		if err := releaseReserve(); err != nil {
			return fmt.Errorf("room on the disk: %w", err)
		}
		if err := adopt(tree, preparation.Disk.Owner); err != nil {
			return err
		}
		takeBack(tree)
	}
	if !isWhole(preparation.Trees) {
		if err := makeSkeleton(tree, preparation); err != nil {
			return err
		}
	}
	kept := preparation.Disk != nil && preparation.Disk.Kept
	existing := archive.Replaced
	if kept && isComplete() {
		existing = archive.Kept
	}
	if err := unpackIntoLayers(tree, preparation.Trees, packed, existing); err != nil {
		return err
	}
	if kept && existing == archive.Replaced {
		return complete()
	}
	return nil
}

func mountScratch(on *Disk) error {
	if on == nil {
		return mount("tmpfs", scratch, "tmpfs", 0, scratchOptions)
	}
	return disk.Mount(scratch)
}

// isWhole says that a tree is all of the root, and not a part of one that is made here.
func isWhole(trees []Share) bool {
	return slices.ContainsFunc(trees, func(tree Share) bool { return path.Clean(tree.At) == "/" })
}

// makeSkeleton makes what a root has around the host's trees.
func makeSkeleton(tree archive.Tree, preparation Preparation) error {
	if err := makeDirectories(tree, directories(preparation.Home), preparation.Disk != nil); err != nil {
		return err
	}
	return makeLinks(tree, preparation.Links)
}

// completeWhole makes what a root needs that is somebody's tree, whatever the tree has in its place: a link, say,
// by which what is mounted there would be mounted elsewhere. A home that is a link is left as it is.
func completeWhole(tree archive.Tree, home string) error {
	if err := makeDirectories(tree, needed, true); err != nil {
		return err
	}
	if _, err := os.Lstat(newRoot + home); !os.IsNotExist(err) {
		return err
	}
	return makeIn(tree, "root"+home, 0o700)
}

func makeDirectories(tree archive.Tree, all []directory, ownRun bool) error {
	for _, d := range all {
		if err := makeIn(tree, "root"+d.path, d.mode); err != nil {
			return err
		}
		if d.path == "/run" && ownRun {
			// What is there belongs to one life of the guest.
			if err := mount("tmpfs", newRoot+d.path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
				return err
			}
		}
	}
	return nil
}

func makeIn(tree archive.Tree, name string, mode os.FileMode) error {
	fd, _, err := tree.Directory(name, mode)
	if err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	return unix.Close(fd)
}

func makeLinks(tree archive.Tree, links map[string]string) error {
	targets := map[string]string{"var/run": "/run", "var/lock": "/run/lock"}
	for name, target := range links {
		targets[path.Base(name)] = target
	}
	for name, target := range targets {
		parent, _, err := tree.Directory(path.Join("root", path.Dir(name)), 0o755)
		if err != nil {
			return err
		}
		base := path.Base(name)
		err = archive.Replacing(parent, base, func() error { return unix.Symlinkat(target, parent, base) })
		unix.Close(parent)
		if err != nil {
			return fmt.Errorf("make the link %s: %w", name, err)
		}
	}
	return nil
}

// unpackIntoLayers puts what is below a tree into the layer that will lie over it.
func unpackIntoLayers(root archive.Tree, trees []Share, packed io.Reader, existing archive.Existing) error {
	trees = inOrder(trees)
	for _, tree := range trees {
		upper, target := layer(tree)+"/upper", path.Join("root", tree.At)
		for _, name := range []string{upper, target} {
			if err := makeIn(root, name, 0o755); err != nil {
				return err
			}
		}
		if err := mount(path.Join(scratch, upper), path.Join(scratch, target), "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	if _, err := unpack(packed, existing); err != nil {
		return err
	}
	for _, tree := range slices.Backward(trees) {
		if err := unix.Unmount(filepath.Join(newRoot, tree.At), 0); err != nil {
			return err
		}
	}
	return nil
}

// layer is where the files of a tree are kept, in the scratch file system. The next guest with a kept disk may
// have other trees beside it.
func layer(tree Share) string {
	return "layers/" + flat(tree.At)
}

// flat is a path as a single name.
func flat(name string) string {
	return strings.NewReplacer("%", "%25", "/", "%2F").Replace(path.Clean(name))
}

// completeRoot adds the trees, and the guest's own files.
func (m *Machine) completeRoot(preparation Preparation, packed io.Reader) error {
	root, err := archive.OpenTree(scratch)
	if err != nil {
		return err
	}
	defer root.Close()
	for i, tree := range inOrder(preparation.Trees) {
		lower := fmt.Sprintf("%s/%d", lowers, i)
		if err := m.layTree(root, tree, lower); err != nil {
			return err
		}
		if tree.Transport != virtiofs || tree.Files == 0 {
			continue
		}
		// It cannot be named once the root is entered.
		below, err := unix.Open(lower, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		m.served = append(m.served, servedShare{tree, []string{tree.At, fmt.Sprintf("/proc/self/fd/%d", below)}})
	}
	if isWhole(preparation.Trees) {
		if err := completeWhole(root, preparation.Home); err != nil {
			return err
		}
	}
	given, err := unpack(packed, archive.Replaced)
	if err != nil || preparation.Disk == nil || !preparation.Disk.Kept {
		return err
	}
	return lend(root, preparation.Trees, given)
}

func unpack(packed io.Reader, existing archive.Existing) ([]string, error) {
	made, err := archive.Unpack(packed, newRoot, existing)
	if err != nil {
		return nil, fmt.Errorf("files of the root: %w", err)
	}
	return made, nil
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

// needed are the directories without which no root can be entered.
var needed = []directory{
	{"/dev", 0o755}, {"/etc", 0o755}, {"/proc", 0o555}, {"/run", 0o755}, {"/run/lock", 0o777 | os.ModeSticky},
	{"/sys", 0o555}, {"/tmp", 0o777 | os.ModeSticky},
}

// layTree mounts a tree with a writable layer over it. The tree is not expected to change while the
// guest lives, so it is cached without asking the host again. Between two lives of a kept disk it may:
// then what the guest wrote stands before what the host has now, as long as the layer has none of the
// features that remember something of the tree below (index, metacopy, redirects).
func (m *Machine) layTree(root archive.Tree, tree Share, lower string) error {
	tree.ReadOnly = true
	upper, work, target := layer(tree)+"/upper", layer(tree)+"/work", path.Join("root", tree.At)
	for _, name := range []string{upper, work, target} {
		if err := makeIn(root, name, 0o755); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(lower, 0o755); err != nil {
		return err
	}
	if err := m.attach(tree, lower, "loose"); err != nil {
		return err
	}
	options := "lowerdir=" + lower + ",upperdir=" + path.Join(scratch, upper) + ",workdir=" + path.Join(scratch, work)
	options += ",index=off,metacopy=off,redirect_dir=nofollow"
	return mount("overlay", path.Join(scratch, target), "overlay", unix.MS_NODEV, options)
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
		return depth(a) - depth(b)
	})
	return sorted
}

func depth(share Share) int { return strings.Count(strings.TrimSuffix(path.Clean(share.At), "/"), "/") }

func mount(source, target, kind string, flags uintptr, options string) error {
	if err := unix.Mount(source, target, kind, flags, options); err != nil {
		return fmt.Errorf("mount %s at %s: %w", source, target, err)
	}
	return nil
}

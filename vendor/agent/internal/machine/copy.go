package machine

import (
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/archive"
	"sbx.dev/agent/internal/changes"
)

// What a mount is beyond a directory that two sides use.
const (
	// asCached says that nobody on the host writes to it meanwhile.
	asCached = "cached"
	// asCopy says the same, and that nothing of what the guest writes gets to the host.
	asCopy = "copy"
)

// copies is where the layers of such mounts are kept, in the scratch file system.
const copies = "copies"

// layCopy puts a writable layer over a share where it is mounted. The answer is the copy, and a path of the share
// itself, which nobody sees any more.
//
// Directories of the share can be renamed, as anywhere: the layer remembers where they were. On a kept disk
// that would be wrong in the next life, when the host may have another directory there, and renaming them is
// refused with EXDEV, as it is across file systems.
func layCopy(own archive.Tree, share Share, kept bool) (laid changes.Copy, hidden string, err error) {
	lower, err := unix.Open(share.At, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return laid, "", err
	}
	// The guest does not go on without a copy that was asked for: nothing is closed on the ways out.
	name := path.Join(copies, flat(share.At))
	upper, made, err := own.Directory(name+"/upper", 0o755)
	if err != nil {
		return laid, "", err
	}
	if made {
		if err := sameAttributes(upper, lower); err != nil {
			return laid, "", err
		}
	}
	work, _, err := own.Directory(name+"/work", 0o755)
	if err != nil {
		return laid, "", err
	}
	defer unix.Close(work)
	redirect := "on"
	if kept {
		redirect = "nofollow"
	}
	// Names of directories would have to be escaped, and those of the first root cannot be reached any more.
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,index=off,metacopy=off,redirect_dir=%s",
		opened(lower), opened(upper), opened(work), redirect)
	if err := mount("overlay", share.At, "overlay", unix.MS_NODEV, options); err != nil {
		return laid, "", err
	}
	merged, err := unix.Open(share.At, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	// All three stay open: by them the share and the copy are found.
	return changes.New(upper, merged), opened(lower), err
}

func opened(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// sameAttributes makes the one directory look like the other.
func sameAttributes(fd, as int) error {
	var status unix.Stat_t
	if err := unix.Fstatat(as, "", &status, unix.AT_EMPTY_PATH); err != nil {
		return err
	}
	if err := os.Chown(opened(fd), int(status.Uid), int(status.Gid)); err != nil {
		return err
	}
	return unix.Chmod(opened(fd), status.Mode&0o7777)
}

package launch

import (
	"errors"

	"golang.org/x/sys/unix"
)

var errMoved = errors.New("it was moved while sbx started")

// attach mounts the directory at path, with all that is mounted below it, at the place where the
// program looks for it, in this mount namespace alone. The path is gone again, since a descriptor
// leads into the namespace that it was opened in; it has to lead to what the descriptor means.
//
// Read-only is the kernel's word here: the daemon could not write if it wanted to.
func attach(path string, expected int, readOnly bool) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	place, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(place)
	if same, err := isSame(place, expected); err != nil || !same {
		return errors.Join(err, errMoved)
	}
	tree, err := unix.OpenTree(place, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	attributes := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
	if readOnly {
		attributes.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attributes); err != nil {
		return err
	}
	return unix.MoveMount(tree, "", unix.AT_FDCWD, sharedAt, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

func isSame(a, b int) (bool, error) {
	var left, right unix.Stat_t
	if err := errors.Join(unix.Fstat(a, &left), unix.Fstat(b, &right)); err != nil {
		return false, err
	}
	return left.Dev == right.Dev && left.Ino == right.Ino, nil
}

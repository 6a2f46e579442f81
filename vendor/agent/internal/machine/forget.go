package machine

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// manyFiles are more than a guest of usual size keeps in mind; its kernel forgets some by itself then.
	manyFiles = 1 << 18
	lookEvery = 100 * time.Millisecond
)

// servedShare is a share, and the places where it is mounted: the layer over it comes first, which has to
// forget what it holds of the share.
type servedShare struct {
	Share
	places []string
}

// forgetInTime keeps the kernel from knowing more files of a mount than the host can have open for it:
// a walk through a large tree would fail in its middle. Where the host's limit is high, as on most, it
// does nothing.
func forgetInTime(shares []servedShare) {
	limit := manyFiles
	var limited []string
	for _, share := range shares {
		if share.Transport == virtiofs && share.Files > 0 && share.Files < manyFiles {
			limit = min(limit, share.Files)
			limited = append(limited, share.places...)
		}
	}
	if len(limited) == 0 {
		return
	}
	// Three quarters are for what is opened, and what is met before the next look.
	watch := allowance{most: limit / 4}
	for range time.Tick(lookEvery) {
		if !watch.exceeded() {
			continue
		}
		for _, at := range limited {
			forget(at)
		}
	}
}

// allowance looks at how many files of such mounts the kernel knows. To ask for that takes long, so it
// is asked when the files of all file systems, which is a short question, have become more by enough.
type allowance struct {
	most int
	// next is the number of all files from which on the long question is asked.
	next int
}

func (a *allowance) exceeded() bool {
	all := firstNumber("/proc/sys/fs/inode-nr", "")
	a.next = min(a.next, all+a.most) // others may have become fewer
	if all < max(a.next, a.most) {
		return false
	}
	known := firstNumber("/proc/slabinfo", "\nfuse_inode ")
	a.next = all + max(a.most-known, 0)
	return known >= a.most
}

// firstNumber is the one that stands behind a prefix in one of the kernel's files; 0 without one.
func firstNumber(path, prefix string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	_, rest, found := bytes.Cut(text, []byte(prefix))
	if !found {
		return 0
	}
	rest = bytes.TrimLeft(rest, " ")
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	number, _ := strconv.Atoi(string(rest[:digits]))
	return number
}

// forget drops what nobody uses of a mount, and of no other: a mount that is mounted anew, with what it
// has, does so.
func forget(at string) {
	var stat unix.Statfs_t
	if unix.Statfs(at, &stat) != nil || stat.Type != unix.FUSE_SUPER_MAGIC && stat.Type != unix.OVERLAYFS_SUPER_MAGIC {
		return // something else was mounted there
	}
	const kept = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME
	unix.Mount("", at, "", unix.MS_REMOUNT|uintptr(stat.Flags)&kept, "")
}

// Package disk mounts the guest's disk. The host gives it an ext4 file system that is as small as one can be,
// or one that a guest has used; either becomes as large as the device.
package disk

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/session"
)

// Modules is the list of what the kernel needs for it.
const Modules = "disk"

// device is the only one of its kind in the machine.
const device = "/dev/vda"

// Unusable is the code of a failure that another disk would not have.
const Unusable = "disk-unusable"

// Mount mounts the disk at a directory. Its modules are loaded.
func Mount(at string) error {
	size, err := sizes(device)
	if err != nil {
		return fmt.Errorf("the disk: %w", err)
	}
	if err := unix.Mount(device, at, "ext4", 0, options(size)); err != nil {
		return &session.Failure{Code: Unusable, Message: "the file system of its disk is damaged: " + err.Error()}
	}
	root, err := os.Open(at)
	if err != nil {
		return err
	}
	if err := grow(root, size.fileSystem, min(size.device, awaited)); err != nil {
		return fmt.Errorf("the disk cannot be made larger: %w", err)
	}
	go func() {
		defer root.Close()
		if err := grow(root, max(size.fileSystem, awaited), size.device); err != nil {
			fmt.Fprintln(os.Stderr, "agent: the disk cannot be made larger:", err)
		}
	}()
	return nil
}

// awaited is how many blocks a start waits for. An emulated guest takes half a second for 100 GiB, and so
// grows the rest while it runs commands.
const awaited = 32 << 30 / blockSize

// options of ext4. What is deleted goes back to the host. A file system that is found to be damaged
// takes no more writes. Tables of inodes are empty where a disk was never written, and need no zeros; only
// to grow it is quicker to put them off than to do without.
//
// There is always a journal, for a disk that nobody sees again, too: without one ext4 avoids the inodes of
// deleted files for a minute, and looks at each of them for each new file.
func options(size extent) string {
	const always = "discard,errors=remount-ro"
	if size.fileSystem < size.device {
		return always
	}
	return always + ",noinit_itable"
}

// blockSize is the only one that the host makes file systems with.
const blockSize = 4096

// extent is how many blocks there are.
type extent struct{ fileSystem, device uint64 }

// sizes reads the first blocks, of which nothing is trusted: ext4 itself checks them when it mounts.
func sizes(device string) (extent, error) {
	file, err := os.Open(device)
	if err != nil {
		return extent{}, err
	}
	defer file.Close()
	bytes, err := file.Seek(0, 2)
	if err != nil {
		return extent{}, err
	}
	var superblock [1024]byte
	if _, err := file.ReadAt(superblock[:], 1024); err != nil {
		return extent{}, err
	}
	low := binary.LittleEndian.Uint32(superblock[0x4:])
	high := binary.LittleEndian.Uint32(superblock[0x150:])
	return extent{uint64(high)<<32 | uint64(low), uint64(bytes) / blockSize}, nil
}

// resizeFS is EXT4_IOC_RESIZE_FS, _IOW('f', 16, __u64).
const resizeFS = 0x40086610

// setUUID is EXT4_IOC_SETFSUUID, _IOW('f', 44, struct fsuuid).
const setUUID = 0x4008662c

// SetIdentity gives the file system of a directory a UUID made of an identity: version 8, variant 1 (RFC 9562).
// One that cannot have another keeps its own.
func SetIdentity(root *os.File, identity [16]byte) error {
	request := struct {
		length, flags uint32
		uuid          [16]byte
	}{length: 16, uuid: identity}
	request.uuid[6] = request.uuid[6]&0x0f | 0x80
	request.uuid[8] = request.uuid[8]&0x3f | 0x80
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, root.Fd(), setUUID, uintptr(unsafe.Pointer(&request)))
	if errno != 0 && errno != unix.ENOTTY && errno != unix.EOPNOTSUPP {
		return errno
	}
	return nil
}

func grow(root *os.File, from, to uint64) error {
	if from >= to {
		return nil
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, root.Fd(), resizeFS, uintptr(unsafe.Pointer(&to)))
	if errno != 0 {
		return errno
	}
	return nil
}

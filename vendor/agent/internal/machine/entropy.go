package machine

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

const minEntropy = 32

// Reseed gives the kernel's generator secret bytes and makes it use them at once. Guests restored
// from one snapshot would otherwise all draw the same numbers.
func Reseed(entropy []byte) error {
	if len(entropy) < minEntropy {
		return fmt.Errorf("%d bytes are too few", len(entropy))
	}
	fd, err := unix.Open("/dev/urandom", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// struct rand_pool_info: credited bits, size, bytes
	pool := binary.NativeEndian.AppendUint32(nil, uint32(len(entropy)*8))
	pool = binary.NativeEndian.AppendUint32(pool, uint32(len(entropy)))
	pool = append(pool, entropy...)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.RNDADDENTROPY, uintptr(unsafe.Pointer(&pool[0])))
	runtime.KeepAlive(pool)
	if errno != 0 {
		return errno
	}
	return unix.IoctlSetInt(fd, unix.RNDRESEEDCRNG, 0)
}

package launch

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Calls that change a file which exists, by other ways than its bytes.
var metadataCalls = []uint32{
	unix.SYS_FCHMOD,
	unix.SYS_FCHMODAT,
	unix.SYS_FCHMODAT2,
	unix.SYS_UTIMENSAT,
	unix.SYS_SETXATTR,
	unix.SYS_LSETXATTR,
	unix.SYS_FSETXATTR,
	unix.SYS_REMOVEXATTR,
	unix.SYS_LREMOVEXATTR,
	unix.SYS_FREMOVEXATTR,
	unix.SYS_SETXATTRAT,
	unix.SYS_REMOVEXATTRAT,
	sysFileSetattr,
}

// sysFileSetattr is file_setattr(2) of Linux 6.17.
const sysFileSetattr = 469

// Calls that write to a file, or move what is mapped of one, and heed no limit on its size.
var writingCalls = []uint32{
	unix.SYS_TRUNCATE,
	unix.SYS_FTRUNCATE,
	unix.SYS_COPY_FILE_RANGE,
	unix.SYS_MREMAP,
	unix.SYS_REMAP_FILE_PAGES,
}

// Calls that write to a file, too, and do nothing here, yet succeed: before QEMU lets go of pages of its own that
// its guest needs no more, it makes a hole in the file that they are a copy of.
var emptyCalls = []uint32{unix.SYS_FALLOCATE}

// Kinds of ioctl that mean nothing to a file: those of terminals, which any descriptor may be asked, and of
// KVM. File systems have many others: by FS_IOC_UNRESVSP a hole is made in any file that is open for
// writing, and some can exchange the contents of two.
var harmlessRequests = []uint32{'T', 0xae}

// refuseMetadata installs a filter under which no mode, time or attribute of a file changes: Landlock does
// not know of these, and a program that serves no tree of a guest's has nothing to change there.
func refuseMetadata() error {
	calls := append(metadataCalls, olderMetadataCalls...)
	filter := []unix.SockFilter{load(offsetNumber)}
	for _, number := range calls {
		filter = append(filter, jump(unix.BPF_JEQ, number, 0, 1), answer(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)))
	}
	if err := installFilter(append(filter, answer(unix.SECCOMP_RET_ALLOW))); err != nil {
		return fmt.Errorf("cannot refuse changes of files: %w", err)
	}
	return nil
}

// keepFiles leaves this thread, and what it executes, unable to change any file, also one that it opens
// for writing: what it maps of it is its own. With kvm a program may share some pages at the beginning of
// what it maps, which is how KVM shows it a processor.
//
// QEMU opens a memory that it only copies as if it wrote to it. Others map the same file.
func keepFiles(kvm bool) error {
	// No byte of a file is below such a limit. It is for files alone: sockets and pipes have none.
	if err := syscall.Setrlimit(unix.RLIMIT_FSIZE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("cannot refuse writing to files: %w", err)
	}
	shared := uint32(0)
	if kvm {
		shared = uint32(kvmPages * os.Getpagesize())
	}
	if err := installFilter(keepFilesFilter(shared)); err != nil {
		return fmt.Errorf("cannot refuse writing to files: %w", err)
	}
	return nil
}

// kvmPages are as many as KVM shows of a processor on x86-64, which has the most.
const kvmPages = 3

func keepFilesFilter(shared uint32) []unix.SockFilter {
	const (
		allow = unix.SECCOMP_RET_ALLOW
		eperm = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	)
	filter := []unix.SockFilter{load(offsetNumber)}
	for _, number := range append(writingCalls, olderWritingCalls...) {
		filter = append(filter, jump(unix.BPF_JEQ, number, 0, 1), answer(eperm))
	}
	for _, number := range emptyCalls {
		filter = append(filter, jump(unix.BPF_JEQ, number, 0, 1), answer(unix.SECCOMP_RET_ERRNO))
	}
	for _, call := range modeCalls {
		if call.flags == 0 {
			continue
		}
		filter = append(filter, only(call.number, []unix.SockFilter{
			load(offsetArgs + 8*call.flags),
			jump(unix.BPF_JSET, unix.O_TRUNC|unix.O_CREAT|(unix.O_TMPFILE&^unix.O_DIRECTORY), 0, 1),
			answer(eperm),
			answer(allow),
		})...)
	}
	filter = append(filter, only(unix.SYS_IOCTL, harmlessOnly())...)
	const length, flags, offset = offsetArgs + 8*1, offsetArgs + 8*3, offsetArgs + 8*5
	filter = append(filter, only(unix.SYS_MMAP, []unix.SockFilter{
		load(flags),
		jump(unix.BPF_JSET, unix.MAP_ANONYMOUS, 0, 1),
		answer(allow),
		// Both MAP_SHARED and MAP_SHARED_VALIDATE have this bit, and no private mapping has.
		jump(unix.BPF_JSET, unix.MAP_SHARED, 1, 0),
		answer(allow),
		load(length + 4),
		jump(unix.BPF_JEQ, 0, 0, 7),
		load(length),
		jump(unix.BPF_JGT, shared, 5, 0),
		load(offset + 4),
		jump(unix.BPF_JEQ, 0, 0, 3),
		load(offset),
		jump(unix.BPF_JEQ, 0, 0, 1),
		answer(allow),
		answer(eperm),
	})...)
	return append(filter, answer(allow))
}

// harmlessOnly has the rules for ioctl.
func harmlessOnly() []unix.SockFilter {
	rules := []unix.SockFilter{
		load(offsetArgs + 8*1),
		{Code: unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K, K: 8},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0xff},
	}
	for _, kind := range harmlessRequests {
		rules = append(rules, jump(unix.BPF_JEQ, kind, 0, 1), answer(unix.SECCOMP_RET_ALLOW))
	}
	return append(rules, answer(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)))
}

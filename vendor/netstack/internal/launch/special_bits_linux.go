package launch

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// specialBits are what a guest must not put on a file of the host: a program that runs with the
// rights of the file's owner or group instead of its caller's.
const specialBits = unix.S_ISUID | unix.S_ISGID

// Offsets in struct seccomp_data. Arguments are 64 bits wide; the low half comes first on both
// architectures that we build for.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// A modeCall is a system call that takes a file mode by value, and so can be judged by a filter.
type modeCall struct {
	number uint32
	// mode is the index of the argument, flags that of open's flags; 0 where there are none, as the
	// first argument of no such call is flags.
	mode, flags uint32
	// makesNodes is set for calls whose mode also says what kind of file to make.
	makesNodes bool
	// changes is set for calls that change the mode of a file that exists.
	changes bool
}

// Calls that could do the same behind the filter's back: their modes stand in memory, or in a ring.
// All are answered as by a kernel that does not have them. mkdirat is no such call: the kernel takes no
// setuid or setgid from it.
var unfilterable = []uint32{
	unix.SYS_OPENAT2,
	unix.SYS_IO_URING_SETUP,
	unix.SYS_OPEN_BY_HANDLE_AT,
}

// refuseSpecialFiles installs a filter, for this thread and what it executes, under which no file gets
// a setuid or setgid bit and no device node is made. It needs no_new_privs.
func refuseSpecialFiles() error {
	if err := installFilter(specialFilesFilter()); err != nil {
		return fmt.Errorf("cannot refuse setuid files: %w", err)
	}
	return nil
}

func specialFilesFilter() []unix.SockFilter {
	const (
		allow = unix.SECCOMP_RET_ALLOW
		kill  = unix.SECCOMP_RET_KILL_PROCESS
		eperm = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
		// Succeeds without having done anything.
		nothing = unix.SECCOMP_RET_ERRNO
		enosys  = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	)
	// A foreign calling convention has other numbers; nothing that we start uses one.
	filter := []unix.SockFilter{
		load(offsetArch),
		jump(unix.BPF_JEQ, auditArch, 1, 0),
		answer(kill),
		load(offsetNumber),
	}
	if x32Bit != 0 {
		filter = append(filter, jump(unix.BPF_JGE, x32Bit, 0, 1), answer(kill))
	}
	for _, number := range unfilterable {
		filter = append(filter, jump(unix.BPF_JEQ, number, 0, 1), answer(enosys))
	}
	for _, call := range modeCalls {
		var rules []unix.SockFilter
		if call.flags != 0 {
			// Without these the mode is not read, and may be anything.
			creates := uint32(unix.O_CREAT | (unix.O_TMPFILE &^ unix.O_DIRECTORY))
			rules = append(rules,
				load(offsetArgs+8*call.flags), jump(unix.BPF_JSET, creates, 1, 0), answer(allow))
		}
		rules = append(rules, load(offsetArgs+8*call.mode))
		if call.makesNodes {
			rules = append(rules,
				unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: unix.S_IFMT},
				jump(unix.BPF_JEQ, unix.S_IFCHR, 1, 0),
				jump(unix.BPF_JEQ, unix.S_IFBLK, 0, 1),
				answer(eperm),
				load(offsetArgs+8*call.mode))
		}
		if call.changes {
			// A guest's kernel asks for setgid when it makes a directory inside one that has it. The
			// host's kernel has done that by itself when QEMU, which made the directory, comes to
			// change its mode: for this one QEMU passes no file type, for a guest's own chmod it does.
			// A guest that lies about it gets nothing done.
			rules = append(rules,
				jump(unix.BPF_JSET, unix.S_IFMT|unix.S_ISUID, 2, 0),
				jump(unix.BPF_JSET, unix.S_ISGID, 0, 1),
				answer(nothing))
		}
		rules = append(rules, jump(unix.BPF_JSET, specialBits, 0, 1), answer(eperm), answer(allow))
		filter = append(filter, jump(unix.BPF_JEQ, call.number, 0, uint8(len(rules))))
		filter = append(filter, rules...)
	}
	return append(filter, answer(allow))
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func jump(test uint16, value uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, Jt: yes, Jf: no, K: value}
}

func answer(value uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value}
}

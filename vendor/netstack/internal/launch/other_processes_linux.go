package launch

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Calls by which a process gets at the memory, the files, the keys or the shared memory of another one of
// the same user, at how it is scheduled, or at this machine's network. QEMU needs none: all its sockets are
// inherited.
var reachingCalls = []uint32{
	unix.SYS_PTRACE,
	unix.SYS_PROCESS_VM_READV,
	unix.SYS_PROCESS_VM_WRITEV,
	unix.SYS_PROCESS_MADVISE,
	unix.SYS_PROCESS_MRELEASE,
	unix.SYS_MOVE_PAGES,
	unix.SYS_MIGRATE_PAGES,
	unix.SYS_KCMP,
	unix.SYS_PERF_EVENT_OPEN,
	unix.SYS_BPF,
	unix.SYS_PIDFD_OPEN,
	unix.SYS_PIDFD_GETFD,
	unix.SYS_PIDFD_SEND_SIGNAL,
	unix.SYS_RT_SIGQUEUEINFO,
	unix.SYS_RT_TGSIGQUEUEINFO,
	unix.SYS_TKILL, // which names a thread of anybody's; the C libraries that sbx runs with use tgkill
	unix.SYS_ADD_KEY,
	unix.SYS_REQUEST_KEY,
	unix.SYS_KEYCTL,
	unix.SYS_SHMGET,
	unix.SYS_SHMAT,
	unix.SYS_SHMCTL,
	unix.SYS_SEMGET,
	unix.SYS_SEMCTL,
	unix.SYS_MSGGET,
	unix.SYS_MSGCTL,
	unix.SYS_MQ_OPEN,
	unix.SYS_MQ_UNLINK,
	// What QEMU's own filter (spawn, resourcecontrol) has only the older siblings of.
	unix.SYS_EXECVEAT,
	unix.SYS_SCHED_SETATTR,
	unix.SYS_IOPRIO_SET,
	// In a user namespace anybody has all capabilities, and with them much more of the kernel to ask.
	unix.SYS_UNSHARE,
	unix.SYS_SETNS,
}

// Calls whose first argument is a process, which may be this one, and which ones take 0 for it.
var processCalls = []struct {
	number   uint32
	zeroIsMe bool // 0 is the whole process group to kill
}{
	{number: unix.SYS_KILL},
	{number: unix.SYS_TGKILL},
	{number: unix.SYS_PRLIMIT64, zeroIsMe: true},
}

// refuseOtherProcesses installs a filter, for this thread and what it executes, under which it cannot
// reach into another process, signal one, or open a socket. With `connects` sockets of this machine's
// own (unix) are open to it. It needs no_new_privs.
//
// /proc/PID/mem is a file, which no filter can tell from others: enterDomain and the user of its own
// are for that.
func refuseOtherProcesses(connects bool) error {
	if err := installFilter(otherProcessesFilter(uint32(os.Getpid()), connects)); err != nil {
		return fmt.Errorf("cannot refuse other processes: %w", err)
	}
	return nil
}

func otherProcessesFilter(self uint32, connects bool) []unix.SockFilter {
	const (
		allow = unix.SECCOMP_RET_ALLOW
		eperm = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	)
	// A foreign calling convention is the other filter's to refuse.
	filter := []unix.SockFilter{load(offsetNumber)}
	for _, number := range reachingCalls {
		filter = append(filter, jump(unix.BPF_JEQ, number, 0, 1), answer(eperm))
	}
	for _, call := range processCalls {
		rules := []unix.SockFilter{load(offsetArgs), jump(unix.BPF_JEQ, self, 0, 1), answer(allow)}
		if call.zeroIsMe {
			rules = append(rules, jump(unix.BPF_JEQ, 0, 0, 1), answer(allow))
		}
		filter = append(filter, only(call.number, append(rules, answer(eperm)))...)
	}
	sockets := []unix.SockFilter{answer(eperm)}
	if connects {
		sockets = []unix.SockFilter{
			load(offsetArgs), jump(unix.BPF_JEQ, unix.AF_UNIX, 0, 1), answer(allow), answer(eperm)}
	}
	filter = append(filter, only(unix.SYS_SOCKET, sockets)...)
	// A pair of datagram sockets is a way to any other of this machine: each message can have an address.
	filter = append(filter, only(unix.SYS_SOCKETPAIR, []unix.SockFilter{
		load(offsetArgs + 8),
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: socketTypes},
		jump(unix.BPF_JEQ, unix.SOCK_STREAM, 0, 1), answer(allow), answer(eperm)})...)
	if !connects {
		for _, number := range []uint32{unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN} {
			filter = append(filter, jump(unix.BPF_JEQ, number, 0, 1), answer(eperm))
		}
	}
	return append(filter, answer(allow))
}

// socketTypes are the bits of a socket's type; the others are flags.
const socketTypes = 0xf

// only has the rules, which answer whatever comes, for one call.
func only(number uint32, rules []unix.SockFilter) []unix.SockFilter {
	return append([]unix.SockFilter{jump(unix.BPF_JEQ, number, 0, uint8(len(rules)))}, rules...)
}

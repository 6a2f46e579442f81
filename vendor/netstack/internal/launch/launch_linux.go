// Package launch is `netstack launch`: a program that has given up all that it does not need.
package launch

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
	"sbx.dev/netstack/internal/process"
)

// Run becomes PROGRAM after giving up everything it does not need: it dies with its parent, gains
// no privileges, runs as --uid and --gid, or as a user of its own, with none but --capabilities, makes no
// setuid file or device, reaches no other process and no network, inherits no descriptor above --keep,
// and where the kernel has Landlock has no files but the system's programs, --reads and --writes.
func Run(args []string) error {
	flags := flag.NewFlagSet("launch", flag.ContinueOnError)
	uid := flags.Int("uid", -1, "run as this user")
	gid := flags.Int("gid", -1, "run as this group")
	names := flags.String("capabilities", "", "what the program keeps of its capabilities, by name")
	keep := flags.Int("keep", 2, "highest descriptor that the program inherits")
	handed := flags.String("receive", "", "descriptors through which others are handed over, that take their places")
	memory := flags.Int("own-memory", -1, "descriptor of a file that a copy of it in memory takes the place of")
	parent := flags.Int("parent", 0, "process whose death ends the program; default the caller")
	own := flags.Bool("own-user", false, "run as a user and group that no other process here has")
	connects := flags.Bool("connects", false, "it may use unix sockets that it does not inherit")
	readOnly := flags.Bool("read-only", false, "it changes no file, also not those of --writes")
	kvm := flags.Bool("kvm", false, "it uses KVM: as another user by the group of its device")
	var reads, writes []string
	flags.Func("reads", "a file or directory that it may read", appendTo(&reads))
	flags.Func("writes", "a file or directory that it may read and write", appendTo(&writes))
	if err := flags.Parse(args); err != nil {
		return err
	}
	argv := flags.Args()
	if len(argv) == 0 {
		return errors.New("launch: no program")
	}
	kept, err := capabilities(*names)
	if err != nil {
		return err
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	// Credentials, capabilities and the death signal belong to a thread; exec must come from it.
	runtime.LockOSThread()
	closeOnExec(*keep + 1)
	if err := receive(*handed); err != nil {
		return err
	}
	if *memory >= 0 {
		if err := ownMemory(*memory); err != nil {
			return err
		}
	}
	// With the caller's rights.
	needed := files{reads: reads, writes: writes, tree: hasDirectory(writes), readOnly: *readOnly, kvm: *kvm}
	domain, err := makeDomain(path, needed)
	if err != nil {
		return err
	}
	boundCapabilities(kept) // while that may be done
	if *own {
		*uid, *gid = ownUser(os.Getpid()), ownUser(os.Getpid())
	}
	var groups []int
	if *kvm {
		groups = groupsOf(kvmDevice)
	}
	if err := setIdentity(*uid, *gid, groups); err != nil {
		return err
	}
	if err := confine(kept); err != nil {
		return err
	}
	if err := keepApart(domain, needed, *connects); err != nil {
		return err
	}
	if err := followParent(*parent); err != nil {
		return err
	}
	return syscall.Exec(path, argv, os.Environ())
}

func appendTo(list *[]string) func(string) error {
	return func(value string) error {
		*list = append(*list, value)
		return nil
	}
}

// firstOwnUser begins a range that no distribution gives to people, services, containers or their users:
// see "Users, Groups, UIDs and GIDs on systemd systems". It is as long as there can be processes, 2^22.
const firstOwnUser = 0x70000000

// ownUser is a user that nobody else is for as long as the process is there: no two have a number at the
// same time. So there is nothing to lock, and nothing to give back. It owns no file.
func ownUser(pid int) int { return firstOwnUser + pid }

const kvmDevice = "/dev/kvm"

// groupsOf are the groups without which a user like any other may not use a device: its own, unless everybody may,
// or it is root's, which opens more.
func groupsOf(device string) []int {
	const readWrite = 0o6
	var stat unix.Stat_t
	if unix.Stat(device, &stat) != nil || stat.Gid == 0 ||
		stat.Mode&readWrite == readWrite || stat.Mode>>3&readWrite != readWrite {
		return nil
	}
	return []int{int(stat.Gid)}
}

// setIdentity makes this thread another user with no other groups than these; -1 leaves what is.
func setIdentity(uid, gid int, groups []int) error {
	if gid >= 0 {
		if err := errors.Join(syscall.Setgroups(groups), syscall.Setresgid(gid, gid, gid)); err != nil {
			return fmt.Errorf("cannot become group %d: %w", gid, err)
		}
	}
	if uid >= 0 {
		if err := syscall.Setresuid(uid, uid, uid); err != nil {
			return fmt.Errorf("cannot become user %d: %w", uid, err)
		}
	}
	return nil
}

// confine leaves this thread, and what it executes, with those of the kept capabilities that it has,
// without new privileges, and under filters by which no file becomes what a guest must not make.
func confine(kept uint64) error {
	boundCapabilities(kept)
	if err := limitCapabilities(kept); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot set no_new_privs: %w", err)
	}
	if err := refuseSpecialFiles(); err != nil {
		return err
	}
	if kept&(1<<unix.CAP_CHOWN) == 0 {
		if err := ignoreCalls(ownerCalls); err != nil {
			return fmt.Errorf("cannot ignore changes of owners: %w", err)
		}
	}
	// The program is to make files with the modes that the guest asks for: the guest has an umask of
	// its own.
	unix.Umask(0)
	return nil
}

// keepApart leaves this thread, and what it executes, with the files that it needs, and without a way to
// other processes. It needs no_new_privs.
func keepApart(domain int, needed files, connects bool) error {
	if err := enterDomain(domain); err != nil {
		return err
	}
	if err := refuseOtherProcesses(connects); err != nil {
		return err
	}
	if !needed.tree {
		if err := refuseMetadata(); err != nil {
			return err
		}
	}
	if needed.readOnly {
		return keepFiles(needed.kvm)
	}
	return nil
}

// followParent has this process, and what it becomes, killed when its parent dies. Changing
// credentials undoes it.
func followParent(parent int) error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("cannot follow the parent's death: %w", err)
	}
	// A parent that died before is noticed here. Process 1 is whoever adopts, unless it is sbx itself, as
	// in a container.
	if ppid := os.Getppid(); parent != 0 && ppid != parent || parent == 0 && ppid == 1 {
		return errors.New("the parent is gone")
	}
	return nil
}

// closeOnExec keeps descriptors from the program, also on kernels that cannot mark them all at once (before
// 5.11). They are not closed here, as some are the Go runtime's own: it looks after those whenever ten
// milliseconds have passed, and ends the process where they are gone.
func closeOnExec(first int) {
	if err := unix.CloseRange(uint(first), ^uint(0)>>32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		process.CloseOnExec(first)
	}
}

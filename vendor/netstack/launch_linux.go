package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// lastCapability is beyond any kernel's CAP_LAST_CAP; dropping an unknown one is an error we ignore.
const lastCapability = 63

// launch becomes PROGRAM after giving up everything it does not need: it dies with its parent, gains
// no privileges, runs as --uid and --gid without capabilities, and inherits no descriptor above
// --keep.
func launch(args []string) error {
	flags := flag.NewFlagSet("launch", flag.ContinueOnError)
	uid := flags.Int("uid", -1, "run as this user")
	gid := flags.Int("gid", -1, "run as this group")
	keep := flags.Int("keep", 2, "highest descriptor that the program inherits")
	parent := flags.Int("parent", 0, "process whose death ends the program; default the caller")
	if err := flags.Parse(args); err != nil {
		return err
	}
	argv := flags.Args()
	if len(argv) == 0 {
		return errors.New("launch: no program")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	// Credentials, capabilities and the death signal belong to a thread; exec must come from it.
	runtime.LockOSThread()
	if err := unix.CloseRange(uint(*keep+1), ^uint(0)>>32, 0); err != nil {
		closeFrom(*keep + 1)
	}
	if *gid >= 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(*gid, *gid, *gid)); err != nil {
			return fmt.Errorf("cannot become group %d: %w", *gid, err)
		}
	}
	if *uid >= 0 {
		for capability := range lastCapability + 1 {
			unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(capability), 0, 0, 0)
		}
		if err := syscall.Setresuid(*uid, *uid, *uid); err != nil {
			return fmt.Errorf("cannot become user %d: %w", *uid, err)
		}
		none := [2]unix.CapUserData{}
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		if err := unix.Capset(&header, &none[0]); err != nil {
			return fmt.Errorf("cannot drop capabilities: %w", err)
		}
		unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot set no_new_privs: %w", err)
	}
	// Last, because changing credentials clears it. A parent that died before is noticed below.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("cannot follow the parent's death: %w", err)
	}
	if ppid := os.Getppid(); ppid == 1 || *parent != 0 && ppid != *parent {
		return errors.New("the parent is gone")
	}
	return syscall.Exec(path, argv, os.Environ())
}

// closeFrom closes descriptors on kernels without close_range(2).
func closeFrom(first int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd >= first {
			syscall.CloseOnExec(fd)
		}
	}
}

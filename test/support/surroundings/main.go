// Command surroundings runs a program in surroundings with a fault, as root of a guest that has no shell to
// make them: surroundings FAULT PROGRAM [ARGUMENT...].
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// rlimitNProc is RLIMIT_NPROC, which package syscall leaves out.
const rlimitNProc = 6

var faults = map[string]func() error{
	"none": func() error { return nil },
	"no-proc": func() error {
		for syscall.Unmount("/proc", syscall.MNT_DETACH) == nil {
		}
		return nil
	},
	"other-proc": func() error {
		mount := exec.Command("/proc/self/exe", "mount-proc", "")
		mount.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
		return mount.Run()
	},
	"mount-proc": func() error {
		if err := syscall.Mount("none", "/proc", "proc", 0, ""); err != nil {
			return err
		}
		os.Exit(0)
		return nil
	},
	"removed": func() error {
		return errors.Join(enter("removed"), os.Remove("../removed"))
	},
	"unmounted": func() error {
		return errors.Join(
			os.Mkdir("unmounted", 0o755),
			syscall.Mount("none", "unmounted", "tmpfs", 0, ""),
			os.Chdir("unmounted"),
			syscall.Unmount("/tmp/unmounted", syscall.MNT_DETACH),
		)
	},
	"deep": func() error {
		for range 21 { // of 200 bytes each, which are more than PATH_MAX
			if err := enter(strings.Repeat("d", 199)); err != nil {
				return err
			}
		}
		return nil
	},
	"threads": func() error { return errors.Join(syscall.Setuid(4321), limit(rlimitNProc, 8)) },
	"stack":   func() error { return limit(syscall.RLIMIT_STACK, 128<<10) },
	"data":    func() error { return limit(syscall.RLIMIT_DATA, 256<<20) },
	"space":   func() error { return limit(syscall.RLIMIT_AS, 256<<20) },
}

func main() {
	err := os.Chdir("/tmp")
	if err == nil {
		err = faults[os.Args[1]]()
	}
	if err == nil {
		err = syscall.Exec(os.Args[2], os.Args[2:], nil)
	}
	fmt.Fprintln(os.Stderr, "surroundings:", err)
	os.Exit(1)
}

func enter(name string) error {
	return errors.Join(os.Mkdir(name, 0o755), os.Chdir(name))
}

func limit(resource int, soft uint64) error {
	return syscall.Setrlimit(resource, &syscall.Rlimit{Cur: soft, Max: soft})
}

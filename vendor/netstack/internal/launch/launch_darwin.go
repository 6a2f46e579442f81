// Package launch is `netstack launch`: a program in this one's place.
package launch

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
	"sbx.dev/netstack/internal/process"
)

// LandlockVersion is 0: macOS has none.
func LandlockVersion() int { return 0 }

// Run becomes PROGRAM, which is ended when its parent ends, inherits no descriptor above --keep and leaves no
// core dump. That is all that macOS has for it: what would have to hold on Linux and cannot here is refused,
// and what only holds a program that a guest took over (--reads, --writes and the like) is not there.
func Run(args []string) error {
	flags := flag.NewFlagSet("launch", flag.ContinueOnError)
	uid := flags.Int("uid", -1, "refused here")
	gid := flags.Int("gid", -1, "refused here")
	names := flags.String("capabilities", "", "refused here")
	own := flags.Bool("own-user", false, "refused here")
	handed := flags.String("receive", "", "refused here: nothing is handed over without Share")
	memory := flags.Int("own-memory", -1, "refused here")
	keep := flags.Int("keep", 2, "highest descriptor that the program inherits")
	parent := flags.Int("parent", 0, "process whose end ends the program; default the caller")
	flags.Bool("read-only", false, "not held here")
	flags.Bool("kvm", false, "not held here")
	flags.Bool("connects", false, "not held here")
	flags.Func("reads", "not held here", func(string) error { return nil })
	flags.Func("writes", "not held here", func(string) error { return nil })
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case *uid >= 0, *gid >= 0, *own, *names != "":
		return errors.New("launch: only on Linux a program becomes another user, or is told its capabilities")
	case *memory >= 0: // the program would write to the memory that others go on from
		return errors.New("launch: a copy of a memory is made on Linux only")
	case *handed != "":
		return errLinuxOnly
	}
	argv := flags.Args()
	if len(argv) == 0 {
		return errors.New("launch: no program")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	// As on Linux, the program makes files with the modes that the guest asks for.
	unix.Umask(0)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("cannot do without core dumps: %w", err)
	}
	if err := followParent(*parent); err != nil {
		return err
	}
	process.CloseOnExec(*keep + 1)
	return syscall.Exec(path, argv, os.Environ())
}

// followParent has this process, and what it becomes, killed when its parent ends. There is no death signal: a
// process of its own watches both, and says so before this one goes on.
func followParent(parent int) error {
	if parent == 0 {
		parent = os.Getppid()
	}
	own, err := os.Executable()
	if err != nil {
		return err
	}
	ready, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	guard := exec.Command(own, "guard", "--parent", strconv.Itoa(parent), "--program", strconv.Itoa(os.Getpid()))
	guard.ExtraFiles = []*os.File{theirs}
	guard.Env = []string{}
	guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // out of reach of a terminal's Ctrl-C
	if err := guard.Start(); err != nil {
		return fmt.Errorf("cannot follow the parent's end: %w", err)
	}
	theirs.Close()
	defer ready.Close()
	if _, err := io.ReadFull(ready, make([]byte, 1)); err != nil {
		return errors.New("cannot follow the parent's end: nobody watches it")
	}
	// A parent that ended before is noticed here.
	if os.Getppid() != parent {
		return errors.New("the parent is gone")
	}
	return nil
}

var errLinuxOnly = errors.New("file daemons run on Linux only")

// Share is for Linux, whose namespaces it needs.
func Share([]string) error { return errLinuxOnly }

// Ask is for Linux.
func Ask([]string) error { return errLinuxOnly }

// Greet is for Linux.
func Greet([]string) error { return errLinuxOnly }

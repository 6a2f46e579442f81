package launch

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// What `netstack share` finds at its start, and what its program finds.
const (
	handOverFD  = 3 // the socket that takes the connection to the program
	directoryFD = 4 // the directory, as sbx opened it
	listenerFD  = 3 // for the program: the socket that its one client has connected to
	sharedAt    = "/tmp"
)

// setsUp are the capabilities under which a file daemon makes its own sandbox, and which it gives up
// before it answers anybody: to enter namespaces, mount and pivot there, and bound the rest.
const setsUp = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_SETPCAP

type share struct {
	parent   int
	path     string
	readOnly bool
	kept     uint64
	uid, gid int  // -1: the caller's
	own      bool // a user of its own
	argv     []string
}

// Share is `netstack share`: it becomes PROGRAM, a file daemon of vhost-user, as Run becomes QEMU, in
// namespaces where nothing is but one directory, at /tmp. That directory has to be the one at
// descriptor 4 still. The program has its listening socket at descriptor 3, and the one connection to
// it goes through the socket that was there.
//
// Who may not enter namespaces gets a user namespace for it, in a process of its own, with no user
// but the caller.
func Share(args []string) error {
	inside, s, err := parseShare(args)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if inside {
		s.parent = 0 // what started this process is its parent
		return s.serve()
	}
	if err := followParent(s.parent); err != nil {
		return err
	}
	raiseFileLimit()
	const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC
	switch err := unix.Unshare(namespaces); err {
	case nil:
		return s.serve()
	case unix.EPERM:
		return inUserNamespace(args, namespaces)
	default:
		return fmt.Errorf("cannot enter namespaces: %w", err)
	}
}

func parseShare(args []string) (inside bool, s share, err error) {
	flags := flag.NewFlagSet("share", flag.ContinueOnError)
	flags.BoolVar(&inside, "inside", false, "the namespaces are there already")
	flags.IntVar(&s.parent, "parent", 0, "process whose death ends the program; default the caller")
	flags.StringVar(&s.path, "path", "", "the directory's path")
	flags.BoolVar(&s.readOnly, "read-only", false, "share it read-only")
	flags.IntVar(&s.uid, "uid", -1, "serve as this user")
	flags.IntVar(&s.gid, "gid", -1, "serve as this group")
	flags.BoolVar(&s.own, "own-user", false, "serve as a user and group that no other process here has")
	names := flags.String("capabilities", "", "what the program needs of its capabilities to serve, by name")
	if err := flags.Parse(args); err != nil {
		return false, s, err
	}
	if s.argv = flags.Args(); len(s.argv) == 0 || s.path == "" {
		return false, s, errors.New("share: no program, or no path")
	}
	if s.own {
		s.uid, s.gid = ownUser(os.Getpid()), ownUser(os.Getpid())
	}
	s.kept, err = capabilities(*names)
	return inside, s, err
}

// inUserNamespace goes on in a new process, which this one waits for, and ends with.
func inUserNamespace(args []string, namespaces uintptr) error {
	uid, gid := os.Geteuid(), os.Getegid()
	own, err := os.StartProcess("/proc/self/exe", append([]string{os.Args[0], "share", "--inside"}, args...), &os.ProcAttr{
		Env:   os.Environ(),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, os.NewFile(handOverFD, ""), os.NewFile(directoryFD, "")},
		Sys: &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER | namespaces,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}},
			AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP},
			Pdeathsig:   unix.SIGKILL,
		},
	})
	if err != nil {
		return fmt.Errorf("cannot enter a user namespace: %w", err)
	}
	unix.Close(handOverFD) // whose end says that the daemon is gone
	state, err := own.Wait()
	if err != nil {
		return err
	}
	if !state.Success() {
		return fmt.Errorf("the file daemon ended: %s", state)
	}
	return nil
}

func (s share) serve() error {
	if err := attach(s.path, directoryFD, s.readOnly); err != nil {
		return fmt.Errorf("cannot share the directory: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	listener, err := handOver(handOverFD)
	if err != nil {
		return fmt.Errorf("cannot connect the file daemon: %w", err)
	}
	if err := unix.Dup3(listener, listenerFD, 0); err != nil {
		return err
	}
	closeOnExec(listenerFD + 1)
	if err := s.become(); err != nil {
		return err
	}
	if err := confine(s.kept | setsUp); err != nil {
		return err
	}
	if err := ignoreCalls(identityCalls); err != nil {
		return fmt.Errorf("cannot ignore changes of identity: %w", err)
	}
	if err := inherit(); err != nil {
		return err
	}
	if err := followParent(s.parent); err != nil {
		return err
	}
	return syscall.Exec(s.argv[0], s.argv, os.Environ())
}

// become makes this thread the user that serves, who can still set the sandbox up.
func (s share) become() error {
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return err
	}
	return setIdentity(s.uid, s.gid, nil)
}

// raiseFileLimit lets the daemon hold one descriptor for each file that the guest knows, as many as
// the caller may raise it to.
func raiseFileLimit() {
	const wanted = 1 << 20 // the default of fs.nr_open
	limit := syscall.Rlimit{Cur: wanted, Max: wanted}
	var now syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now) != nil {
		return
	}
	if now.Max >= wanted || syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		now.Cur = now.Max
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &now)
	}
}

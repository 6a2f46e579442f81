package launch

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"syscall"
)

// Ask is `netstack ask`: it becomes PROGRAM, a file daemon that is only asked what it is, under the filters that
// it is to serve under. QEMU's own leaves its supplementary groups before it reads its options, and ends where it
// may not, so that whoever is in a group but is not root would hear nothing of it.
func Ask(args []string) error {
	flags := flag.NewFlagSet("ask", flag.ContinueOnError)
	parent := flags.Int("parent", 0, "process whose death ends the program; default the caller")
	if err := flags.Parse(args); err != nil {
		return err
	}
	argv := flags.Args()
	if len(argv) == 0 {
		return errors.New("ask: no program")
	}
	runtime.LockOSThread()
	closeOnExec(3)
	if err := confine(0); err != nil {
		return err
	}
	if err := ignoreCalls(identityCalls); err != nil {
		return fmt.Errorf("cannot ignore changes of identity: %w", err)
	}
	if err := followParent(*parent); err != nil {
		return err
	}
	return syscall.Exec(argv[0], argv, os.Environ())
}

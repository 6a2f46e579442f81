//go:build !linux

// Package launch is `netstack launch`: a program in this one's place.
package launch

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"syscall"
)

// LandlockVersion is 0: other systems have none.
func LandlockVersion() int { return 0 }

// Run becomes PROGRAM. Other systems have no death signal and no capabilities to drop; there sbx
// itself ends the program.
func Run(args []string) error {
	flags := flag.NewFlagSet("launch", flag.ContinueOnError)
	flags.Int("uid", -1, "ignored here")
	flags.Int("gid", -1, "ignored here")
	flags.String("capabilities", "", "ignored here")
	flags.Int("keep", 2, "ignored here")
	flags.String("receive", "", "ignored here: nothing is handed over without Share")
	flags.Int("parent", 0, "ignored here")
	memory := flags.Int("own-memory", -1, "refused here")
	flags.Bool("own-user", false, "ignored here")
	flags.Bool("read-only", false, "ignored here")
	flags.Bool("kvm", false, "ignored here")
	flags.Bool("connects", false, "ignored here")
	flags.Func("reads", "ignored here", func(string) error { return nil })
	flags.Func("writes", "ignored here", func(string) error { return nil })
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *memory >= 0 { // the program would write to the memory that others go on from
		return errors.New("launch: a copy of a memory is made on Linux only")
	}
	argv := flags.Args()
	if len(argv) == 0 {
		return errors.New("launch: no program")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, argv, os.Environ())
}

var errLinuxOnly = errors.New("file daemons run on Linux only")

// Share is for Linux, whose namespaces it needs.
func Share([]string) error { return errLinuxOnly }

// Greet is for Linux.
func Greet([]string) error { return errLinuxOnly }

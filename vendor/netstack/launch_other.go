//go:build !linux

package main

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"syscall"
)

// launch becomes PROGRAM. Other systems have no death signal and no capabilities to drop; there sbx
// itself ends the program.
func launch(args []string) error {
	flags := flag.NewFlagSet("launch", flag.ContinueOnError)
	flags.Int("uid", -1, "ignored here")
	flags.Int("gid", -1, "ignored here")
	flags.Int("keep", 2, "ignored here")
	flags.Int("parent", 0, "ignored here")
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
	return syscall.Exec(path, argv, os.Environ())
}

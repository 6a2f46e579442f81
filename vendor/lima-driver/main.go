// Command lima-driver is Lima's external driver `sbx`: it translates between Lima's calls and
// `sbx lima-guest`, which starts QEMU and is the guest's whole network. It decides nothing itself.
//
// Lima starts it for an instance and leaves it; it ends with SIGTERM, and its guest with it. See
// docs/lima.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"sbx.dev/lima-driver/internal/driver"
	"sbx.dev/lima-driver/internal/guest"
	"sbx.dev/lima-driver/internal/instance"
)

func main() {
	var sbx guest.Command
	flag.Func("sbx", "the sbx that starts guests; given again, its first arguments", func(word string) error {
		sbx = append(sbx, word)
		return nil
	})
	directory := flag.String("inst-dir", "", "directory of the instance to serve")
	inspect := flag.Bool("inspect-status", false, "say on stdout whether the instance on stdin runs")
	flag.Parse()
	if err := run(sbx, *directory, *inspect); err != nil {
		fmt.Fprintln(os.Stderr, "lima-driver-sbx:", err)
		os.Exit(1)
	}
}

func run(sbx guest.Command, directory string, inspect bool) error {
	switch {
	case os.Geteuid() == 0:
		return errors.New("cannot run as root: Lima does not, and the guest would be root's; run limactl as the user whose guest it is")
	case inspect:
		return instance.Inspect(os.Stdin, os.Stdout)
	case directory == "":
		return errors.New("cannot serve: no --inst-dir was given; Lima starts this program, by 'sbx lima start' or limactl")
	case len(sbx) == 0:
		return errors.New("cannot serve: no --sbx was given; have Lima start the driver in the directory that 'sbx lima driver' says")
	}
	shorten(os.Stderr)
	return driver.Serve(sbx, directory)
}

// mostLog is how long Lima's file of what drivers say may become over their lives: each adds little.
const mostLog = 1 << 20

// shorten empties a log that earlier drivers of the instance have filled; Lima only ever adds to it.
func shorten(log *os.File) {
	info, err := log.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() <= mostLog {
		return
	}
	if log.Truncate(0) == nil {
		log.Seek(0, io.SeekStart)
	}
}

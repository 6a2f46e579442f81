// Command netstack is the whole network of one sandbox's guest: a userspace TCP/IP stack that
// takes ethernet frames, asks sbx about every new flow, and carries out the verdict.
//
// It decides nothing itself. Without sbx, without an answer in time, or after bytes that the
// protocol does not allow, nothing passes and the process ends. See docs/control-protocol.md.
package main

import (
	"fmt"
	"os"
)

// version is set by the build.
var version = "dev"

const usage = `usage: netstack serve [--listen unix:///PATH | --listen-vfkit unixgram:///PATH]
       netstack launch [--uid N --gid N] [--keep N] -- PROGRAM [ARG...]
       netstack tsc       the time stamp counter in kHz, 0 without one
       netstack version
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	var err error
	switch os.Args[1] {
	case "serve":
		err = serve(os.Args[2:])
	case "launch":
		err = launch(os.Args[2:])
	case "tsc":
		fmt.Println(tscKHz())
	case "version":
		fmt.Println(version)
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "netstack:", err)
		os.Exit(1)
	}
}

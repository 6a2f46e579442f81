// Command netstack is the whole network of one sandbox's guest: a userspace TCP/IP stack that
// takes ethernet frames, asks sbx about every new flow, and carries out the verdict.
//
// It decides nothing itself. Without sbx, without an answer in time, or after bytes that the
// protocol does not allow, nothing passes and the process ends. See docs/control-protocol.md.
package main

import (
	"fmt"
	"os"

	"sbx.dev/netstack/internal/launch"
	"sbx.dev/netstack/internal/serve"
	"sbx.dev/netstack/internal/tsc"
	"sbx.dev/netstack/internal/watch"
)

// version is set by the build.
var version = "dev"

const usage = `usage: netstack serve [--listen unix:///PATH | --listen-vfkit unixgram:///PATH | --listen-descriptor unix:///PATH]
       netstack launch [--uid N --gid N | --own-user] [--capabilities NAME,...] [--keep N] [--receive FD,...]
                [--own-memory FD] [--parent PID] [--reads PATH]... [--writes PATH]... [--read-only]
                [--kvm] [--connects] -- PROGRAM [ARG...]
       netstack share --path PATH [--read-only] [--uid N --gid N | --own-user] [--capabilities NAME,...] -- PROGRAM [ARG...]
       netstack ask [--parent PID] -- PROGRAM [ARG...]
       netstack greet FD
       netstack watch --parent PID [--end-parent] [--outlives-parent]
       netstack guard --parent PID --program PID
       netstack landlock  the version of the kernel's Landlock, 0 without one
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
		err = serve.Run(os.Args[2:])
	case "launch":
		err = launch.Run(os.Args[2:])
	case "share":
		err = launch.Share(os.Args[2:])
	case "ask":
		err = launch.Ask(os.Args[2:])
	case "greet":
		err = launch.Greet(os.Args[2:])
	case "watch":
		err = watch.Run(os.Args[2:])
	case "guard":
		err = watch.Guard(os.Args[2:])
	case "landlock":
		fmt.Println(launch.LandlockVersion())
	case "tsc":
		fmt.Println(tsc.KHz())
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

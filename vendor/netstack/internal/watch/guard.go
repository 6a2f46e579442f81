package watch

import (
	"errors"
	"flag"
	"os"

	"sbx.dev/netstack/internal/process"
)

// readyFD is where Guard says that it watches.
const readyFD = 3

// Guard is `netstack guard`: it ends a program when the one that has started it ends, where the kernel does
// not (PR_SET_PDEATHSIG). It goes with whichever of the two goes first. One byte on descriptor 3 says that it
// watches; without that nothing is to be started.
func Guard(args []string) error {
	flags := flag.NewFlagSet("guard", flag.ContinueOnError)
	parent := flags.Int("parent", 0, "whose end ends the program")
	program := flags.Int("program", 0, "what is ended; its parent is the parent")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *parent <= 0 || *program <= 0 {
		return errors.New("guard: no --parent, or no --program")
	}
	starter, err := process.Open(*parent)
	if err != nil {
		return err
	}
	guarded, err := process.Open(*program)
	if err != nil {
		return err
	}
	ready := os.NewFile(readyFD, "ready")
	if _, err := ready.Write([]byte{1}); err != nil {
		return err
	}
	ready.Close()
	return guard(starter, guarded)
}

func guard(starter, guarded *process.Other) error {
	over := make(chan error, 2)
	go func() {
		err := starter.Wait()
		guarded.Kill() // also where its end cannot be known
		over <- err
	}()
	go func() { over <- guarded.Wait() }()
	return <-over
}

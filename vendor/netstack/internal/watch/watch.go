// Package watch is `netstack watch`: the watchdog of one machine.
package watch

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"sbx.dev/netstack/internal/process"
)

const (
	// watchStep is how often sbx gives a sign of life, and how often that is looked at. Steps are counted, not
	// time: one in which this process was not let run says nothing about sbx.
	watchStep = time.Second
	// machineSteps is how many steps in silence end the machine of an sbx that hangs; netstack gives it as long.
	machineSteps = 10
	// parentSteps is how many more sbx has to see that its machine is gone, where it may be ended itself.
	parentSteps = 5
)

// Outlives is the option of a watchdog whose machine is no child of sbx: the kernel does not end that with sbx, nor
// this process before it has done so.
const Outlives = "--outlives-parent"

// Run ends a machine from outside, without a word from the guest and without sbx's one thread:
// when sbx says nothing for ten steps, when a limit that it set is not lifted in time, and when sbx
// is gone. With --end-parent an sbx that still hangs after that is ended as well. A stopped one
// (SIGSTOP, a debugger) does not hang: for it, only the limits count.
//
// Each line of stdin is a sign of life, and one of
//
//	alive
//	machine PID     what to end
//	limit ID MS     end it in so many milliseconds
//	lift ID         unless this comes first
//
// The end of stdin, or a line that is none of these, ends the machine at once.
func Run(args []string) error {
	flags := flag.NewFlagSet("watch", flag.ContinueOnError)
	parent := flags.Int("parent", 0, "sbx")
	endParent := flags.Bool("end-parent", false, "end sbx too when it hangs on after its machine was ended")
	outlives := flags.Bool(Outlives[2:], false, "the machine is no child of sbx: end it after sbx has gone, too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	process.CloseSockets(3)
	sbx, err := process.Open(*parent)
	if err != nil {
		return err
	}
	if os.Getppid() != *parent {
		if *outlives {
			(&watchdog{}).bury(lines(os.Stdin))
		}
		return errors.New("watch: the parent is gone")
	}
	w := newWatchdog(func() bool { return stopped(*parent) })
	if *endParent {
		w.endParent = func() {
			go fmt.Fprintln(os.Stderr, "sbx: cannot go on: sbx itself hangs; it and its guest were ended")
			time.Sleep(watchStep / 4) // whoever does not read that has waited enough
			sbx.Kill()
		}
	}
	ticker := time.NewTicker(watchStep)
	defer ticker.Stop()
	return w.run(lines(os.Stdin), ticker.C)
}

// bury ends the machine of an sbx that went before this process began: what it said is there to its end.
func (w *watchdog) bury(words <-chan string) {
	defer w.end()
	for word := range words {
		if fields := strings.Fields(word); len(fields) == 2 && fields[0] == "machine" {
			w.obey(word)
			return
		}
	}
}

// lines reads them into a channel, which is closed at their end.
func lines(r io.Reader) <-chan string {
	out := make(chan string)
	go func() {
		defer close(out)
		for in := bufio.NewScanner(r); in.Scan(); {
			out <- in.Text()
		}
	}()
	return out
}

// watchdog is in one of three states: watching, the machine ended, sbx ended too, where it is done.
type watchdog struct {
	machine   *process.Other
	ended     bool // the machine was
	silent    int  // steps since the last sign of life, or since the machine's end
	limits    map[string]*time.Timer
	expired   chan string
	stopped   func() bool // sbx is
	endParent func()      // nil: sbx is left alone
}

func newWatchdog(stopped func() bool) *watchdog {
	return &watchdog{limits: map[string]*time.Timer{}, expired: make(chan string), stopped: stopped}
}

func (w *watchdog) run(words <-chan string, steps <-chan time.Time) error {
	defer w.end()
	for {
		select {
		case word, open := <-words:
			if !open {
				return nil
			}
			w.silent = 0
			if err := w.obey(word); err != nil {
				return err
			}
		case id := <-w.expired:
			if w.limits[id] != nil { // not lifted in the same moment
				w.end()
			}
		case <-steps:
			if w.stopped() {
				continue
			}
			w.silent++
			if !w.ended && w.silent >= machineSteps {
				w.end()
			}
			if w.ended && w.silent >= parentSteps && w.endParent != nil {
				w.endParent()
				return nil
			}
		}
	}
}

// end ends the machine.
func (w *watchdog) end() {
	if w.machine != nil {
		w.machine.Kill()
	}
	w.ended, w.silent = true, 0
}

var errWords = errors.New("watch: not a word of sbx")

func (w *watchdog) obey(word string) error {
	switch fields := strings.Fields(word); {
	case len(fields) == 1 && fields[0] == "alive":
		return nil
	case len(fields) == 2 && fields[0] == "machine" && w.machine == nil:
		pid, err := strconv.Atoi(fields[1])
		if err != nil || pid <= 1 {
			return errWords
		}
		w.machine, err = process.Open(pid)
		return err
	case len(fields) == 3 && fields[0] == "limit":
		ms, err := strconv.ParseUint(fields[2], 10, 40)
		if err != nil {
			return errWords
		}
		id := fields[1]
		w.lift(id)
		w.limits[id] = time.AfterFunc(time.Duration(ms)*time.Millisecond, func() { w.expired <- id })
		return nil
	case len(fields) == 2 && fields[0] == "lift":
		w.lift(fields[1])
		return nil
	}
	return errWords
}

func (w *watchdog) lift(id string) {
	if timer := w.limits[id]; timer != nil {
		timer.Stop()
		delete(w.limits, id)
	}
}

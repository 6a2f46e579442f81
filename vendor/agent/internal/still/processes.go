// Package still has the processes of a machine stand still, as one that is saved needs them, and ends what of them
// cannot go on in another machine.
package still

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	groups = "/sys/fs/cgroup"
	// own is the group of those that are in none: the kernel freezes any group but the first.
	own   = "sbx-still"
	limit = 10 * time.Second
)

// Processes are those of the machine, all but this one and the kernel's, once they stand still. None of them hears
// of it: no signal is sent, and what a terminal or a parent sees of a process is as before.
type Processes struct {
	root string
	held []string // groups that were not frozen already
}

// Freeze has them stand still.
func Freeze() (*Processes, error) {
	return freezeBelow(groups)
}

func freezeBelow(root string) (*Processes, error) {
	p := &Processes{root: root}
	if err := p.freeze(); err != nil {
		return nil, errors.Join(err, p.Thaw())
	}
	return p, nil
}

func (p *Processes) freeze() error {
	if err := os.Mkdir(path.Join(p.root, own), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	moved := map[process]bool{}
	for end := time.Now().Add(limit); time.Now().Before(end); {
		// Frozen first, so that whoever comes in stands still, and can start nobody else.
		all, more, err := p.freezeGroups()
		if err != nil {
			return err
		}
		before := len(moved)
		if err := p.gather(moved); err != nil {
			return err
		}
		// Who was in no group could have made one, until now.
		if !more && len(moved) == before {
			return p.await(all)
		}
	}
	return errors.New("there are more and more processes")
}

// freezeGroups freezes what is not frozen, and says whether that was any.
func (p *Processes) freezeGroups() (all []string, more bool, err error) {
	names, err := children(p.root)
	for _, name := range names {
		if p.read(name, "cgroup.freeze") != "1" {
			if err := p.write(name, "cgroup.freeze", "1"); isGone(err) {
				continue
			} else if err != nil {
				return nil, false, err
			}
			p.held = append(p.held, name)
			more = true
		}
		all = append(all, name)
	}
	return all, more, err
}

// gather moves those that are in no group into the frozen one.
func (p *Processes) gather(moved map[process]bool) error {
	for _, pid := range strings.Fields(p.read("", "cgroup.procs")) {
		stat, there := statOf(pid)
		who := process{pid, stat.started}
		if !there || stat.isKernels || pid == strconv.Itoa(os.Getpid()) || moved[who] {
			continue // who ends is moved no more, and is listed until he has
		}
		if err := p.write(own, "cgroup.procs", pid); errors.Is(err, unix.ESRCH) {
			continue // it is gone
		} else if err != nil {
			return fmt.Errorf("process %s: %w", pid, err)
		}
		moved[who] = true
	}
	return nil
}

// process is one of all that ever had its number.
type process struct{ pid, started string }

type stat struct {
	// isKernels is said of a thread of the kernel's, which none of is ever frozen.
	isKernels bool
	started   string
}

func statOf(pid string) (stat, bool) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	return parseStat(string(text)), err == nil
}

// parseStat reads /proc/PID/stat (proc(5)). A process gives itself any name, such as one that looks like what comes
// behind it.
func parseStat(text string) stat {
	const kernelThread = 0x00200000 // PF_KTHREAD
	fields := strings.Fields(text[strings.LastIndex(text, ")")+1:])
	if len(fields) < 20 {
		return stat{}
	}
	flags, _ := strconv.ParseUint(fields[6], 10, 64)
	return stat{isKernels: flags&kernelThread != 0, started: fields[19]}
}

func (p *Processes) await(names []string) error {
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		if !slices.ContainsFunc(names, func(name string) bool {
			said := p.read(name, "cgroup.events") // nothing, where it was removed
			return said != "" && !strings.Contains(said, "frozen 1")
		}) {
			return nil
		}
		if time.Now().After(end) {
			return errors.New("a process does not come to a stand")
		}
	}
}

// Thaw has them go on, each where it was. Who is moved goes on by that, so nobody is left to start another there.
func (p *Processes) Thaw() (failed error) {
	for _, pid := range strings.Fields(p.read(own, "cgroup.procs")) {
		p.write("", "cgroup.procs", pid) // who is gone needs no place
	}
	for _, name := range p.held {
		if err := p.write(name, "cgroup.freeze", "0"); err != nil && !isGone(err) {
			failed = errors.Join(failed, err)
		}
	}
	os.Remove(path.Join(p.root, own)) // with zombies in it, it stays for the next time
	p.held = nil
	return failed
}

// isGone is said of a group that was removed.
func isGone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV)
}

func (p *Processes) read(group, name string) string {
	text, _ := os.ReadFile(path.Join(p.root, group, name))
	return strings.TrimSpace(string(text))
}

func (p *Processes) write(group, name, text string) error {
	return os.WriteFile(path.Join(p.root, group, name), []byte(text), 0)
}

func children(root string) (names []string, err error) {
	entries, err := os.ReadDir(root)
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names, err
}

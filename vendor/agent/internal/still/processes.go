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
	root  string
	moved []string
	held  []string // groups that were not frozen already
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
	others, err := children(p.root)
	if err != nil {
		return err
	}
	if err := os.Mkdir(path.Join(p.root, own), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if !slices.Contains(others, own) {
		others = append(others, own)
	}
	// Frozen first, so that whoever comes in stands still, and can start nobody else.
	for _, name := range others {
		if p.read(name, "cgroup.freeze") == "1" {
			continue
		}
		if err := p.write(name, "cgroup.freeze", "1"); err != nil {
			return err
		}
		p.held = append(p.held, name)
	}
	if err := p.gather(); err != nil {
		return err
	}
	return p.await(others)
}

// gather moves those that are in no group into the frozen one, until nobody is left who could start another.
func (p *Processes) gather() error {
	for end := time.Now().Add(limit); time.Now().Before(end); {
		left := 0
		for _, pid := range strings.Fields(p.read("", "cgroup.procs")) {
			if pid == strconv.Itoa(os.Getpid()) || slices.Contains(p.moved, pid) || isKernels(pid) {
				continue
			}
			err := p.write(own, "cgroup.procs", pid)
			if errors.Is(err, unix.ESRCH) {
				continue // it is gone
			}
			if err != nil {
				return fmt.Errorf("process %s: %w", pid, err)
			}
			p.moved = append(p.moved, pid)
			left++
		}
		if left == 0 {
			return nil
		}
	}
	return errors.New("there are more and more processes")
}

// isKernels says whether it is a thread of the kernel's, which none of is ever frozen.
func isKernels(pid string) bool {
	const kernelThread = 0x00200000 // PF_KTHREAD
	text, _ := os.ReadFile("/proc/" + pid + "/stat")
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 7 {
		return false
	}
	flags, _ := strconv.ParseUint(fields[6], 10, 64)
	return flags&kernelThread != 0
}

func (p *Processes) await(names []string) error {
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		if !slices.ContainsFunc(names, func(name string) bool {
			return !strings.Contains(p.read(name, "cgroup.events"), "frozen 1")
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
		if err := p.write(name, "cgroup.freeze", "0"); err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	os.Remove(path.Join(p.root, own)) // with zombies in it, it stays for the next time
	p.held, p.moved = nil, nil
	return failed
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

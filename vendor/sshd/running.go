package main

import (
	"errors"
	"os/exec"
	"sync"
	"syscall"
)

// running are the commands of one connection, by their process groups.
type running struct {
	mutex  sync.Mutex
	groups map[int]bool
	over   bool
}

var errOver = errors.New("the connection is over")

// begin has a command started, which becomes the leader of a group; none is once the connection is over.
func (r *running) begin(command *exec.Cmd, start func() error) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.over {
		return errOver
	}
	if err := start(); err != nil {
		return err
	}
	if r.groups == nil {
		r.groups = map[int]bool{}
	}
	r.groups[command.Process.Pid] = true
	return nil
}

func (r *running) ended(command *exec.Cmd) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.groups, command.Process.Pid)
}

// hangUp tells all that nobody is there any more. When it returns, they have been told: this process may
// end, which takes nothing from them but their streams.
func (r *running) hangUp() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.over = true
	for group := range r.groups {
		syscall.Kill(-group, syscall.SIGHUP)
	}
}

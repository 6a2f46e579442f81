package process

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Reaper collects the end of every child: the commands, and the orphans that PID 1 inherits. Nobody
// else in this process may wait, or statuses go astray.
type Reaper struct {
	mutex    sync.Mutex
	commands map[int]chan syscall.WaitStatus
}

// NewReaper starts to reap.
func NewReaper() *Reaper {
	r := &Reaper{commands: map[int]chan syscall.WaitStatus{}}
	// Signals merge while unread, so one slot is enough. A goroutine blocked in wait4 would do too, but
	// it would keep the only processor of a small guest until the runtime notices.
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	go func() {
		for range died {
			r.reap()
		}
	}()
	return r
}

// start forks and execs under the lock, so that a child that ends at once is known when it is reaped.
func (r *Reaper) start(path string, argv []string, attr *syscall.ProcAttr) (int, <-chan syscall.WaitStatus, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return 0, nil, err
	}
	ended := make(chan syscall.WaitStatus, 1)
	r.commands[pid] = ended
	return pid, ended, nil
}

// signal reaches the command's process group, as a terminal's interrupt key would, for as long as the
// command itself is not reaped: afterwards its number may be another's.
func (r *Reaper) signal(pid int, number syscall.Signal) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if _, alive := r.commands[pid]; alive {
		syscall.Kill(-pid, number)
	}
}

// HangUp tells every command, and what it started in its process group, that nobody is there any more.
func (r *Reaper) HangUp() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for pid := range r.commands {
		syscall.Kill(-pid, syscall.SIGHUP)
	}
}

func (r *Reaper) reap() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if ended := r.commands[pid]; ended != nil {
			delete(r.commands, pid)
			ended <- status
		}
	}
}

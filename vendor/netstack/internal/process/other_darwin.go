package process

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Other is a process that need not be a child. The kernel tells of its end, after which its number may be
// another's: then it is not used any more.
type Other struct {
	pid   int
	queue int
	mu    sync.Mutex
	ended bool
}

// Open finds a process; one that has ended already is no error.
func Open(pid int) (*Other, error) {
	queue, err := unix.Kqueue()
	if err != nil {
		return nil, os.NewSyscallError("kqueue", err)
	}
	unix.CloseOnExec(queue)
	wanted := []unix.Kevent_t{{
		Ident: uint64(pid), Filter: unix.EVFILT_PROC, Flags: unix.EV_ADD, Fflags: unix.NOTE_EXIT,
	}}
	if _, err := unix.Kevent(queue, wanted, nil, nil); err != nil {
		unix.Close(queue)
		if errors.Is(err, unix.ESRCH) {
			return &Other{pid: pid, queue: -1, ended: true}, nil
		}
		return nil, os.NewSyscallError("kevent", err)
	}
	return &Other{pid: pid, queue: queue}, nil
}

// Kill ends it. One that is gone already is no error.
func (o *Other) Kill() {
	o.mu.Lock()
	defer o.mu.Unlock()
	var now unix.Timespec
	if !o.ended {
		o.hear(&now)
	}
	if !o.ended {
		unix.Kill(o.pid, unix.SIGKILL)
	}
}

// Wait returns when it has ended.
func (o *Other) Wait() error {
	for {
		o.mu.Lock()
		if o.ended {
			o.mu.Unlock()
			return nil
		}
		o.mu.Unlock()
		// The event is left for whoever holds the lock, since it comes once.
		poll := []unix.PollFd{{Fd: int32(o.queue), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err != nil && err != unix.EINTR {
			return err
		}
		o.mu.Lock()
		var now unix.Timespec
		err := o.hear(&now)
		o.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// hear takes the event of the end, if it is there within a time.
func (o *Other) hear(within *unix.Timespec) error {
	var events [1]unix.Kevent_t
	n, err := unix.Kevent(o.queue, nil, events[:], within)
	if err == unix.EINTR {
		return nil
	}
	o.ended = o.ended || n > 0
	return err
}

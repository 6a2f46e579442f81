package process

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Other is a process that need not be a child. It stays that one when its number is used again, save on
// kernels without pidfds (before 5.3).
type Other struct {
	pidfd   int // -1: it has ended, or there are none
	process *os.Process
}

// Open finds a process; one that has ended already is no error.
func Open(pid int) (*Other, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case err == nil:
		return &Other{pidfd: fd}, nil
	case errors.Is(err, unix.ESRCH):
		return &Other{pidfd: -1}, nil
	}
	// An old kernel, a filter of system calls, or no descriptor left: its number has to do.
	found, err := os.FindProcess(pid)
	return &Other{pidfd: -1, process: found}, err
}

// Kill ends it. One that is gone already is no error.
func (o *Other) Kill() {
	if o.pidfd >= 0 {
		unix.PidfdSendSignal(o.pidfd, unix.SIGKILL, nil, 0)
	} else if o.process != nil {
		o.process.Kill()
	}
}

// Wait returns when it has ended, or with an error where that cannot be known.
func (o *Other) Wait() error {
	if o.pidfd < 0 {
		if o.process == nil {
			return nil
		}
		return errors.New("this kernel does not tell of ends of processes")
	}
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(o.pidfd), Events: unix.POLLIN}}, -1)
		if err != unix.EINTR {
			return err
		}
	}
}

package process

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// stdio is the two sides of a command's three streams.
type stdio struct {
	child  [3]int // descriptors for the command; -1 is a closed one
	input  *os.File
	output *os.File
	errors *os.File // nil with a terminal, which is all that the command prints to
	tty    terminal
}

// openStdio makes pipes, or a terminal. Our ends do not block, so that Go can wait for them all; the
// command's ends are as every program expects them.
func openStdio(spec Spec) (*stdio, error) {
	s := &stdio{child: [3]int{-1, -1, -1}}
	if spec.TTY != nil {
		tty, slave, err := openTerminal(*spec.TTY)
		if err != nil {
			return nil, err
		}
		s.tty, s.input, s.output = tty, tty.File, tty.File
		s.child = [3]int{slave, slave, slave}
		return s, nil
	}
	closed := func(fd int) bool { return slices.Contains(spec.Closed, fd) }
	var err error
	if !closed(0) {
		err = s.openInput(spec.Stdin)
	}
	if err == nil && !closed(1) {
		s.output, s.child[1], err = outputPipe()
	}
	if err == nil && !closed(2) {
		s.errors, s.child[2], err = outputPipe()
	}
	if err != nil {
		s.closeChild()
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stdio) openInput(wanted bool) error {
	if !wanted {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		s.child[0] = fd
		return err
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	s.child[0] = ends[0]
	s.input = unblocked(ends[1])
	return nil
}

func outputPipe() (*os.File, int, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, -1, err
	}
	return unblocked(ends[0]), ends[1], nil
}

func unblocked(fd int) *os.File {
	unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), "pipe")
}

// giveTo lets another user than root open its own standard streams again, as /dev/stdout.
func (s *stdio) giveTo(uid int) error {
	for i, fd := range s.child {
		if fd < 0 || i == 0 && s.input == nil { // the null device is everybody's
			continue
		}
		if err := unix.Fchown(fd, uid, -1); err != nil {
			return err
		}
	}
	return nil
}

// closeChild closes the command's ends, which it has by now or never will.
func (s *stdio) closeChild() {
	for i, fd := range s.child {
		if fd >= 0 && (i == 0 || fd != s.child[0]) {
			unix.Close(fd)
		}
	}
}

func (s *stdio) close() {
	for _, file := range []*os.File{s.input, s.output, s.errors} {
		if file != nil {
			file.Close() // twice for a terminal, which is harmless
		}
	}
}

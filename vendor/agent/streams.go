package main

import (
	"fmt"
	"os"
	"sort"

	"golang.org/x/sys/unix"
)

// streams are the ends of a command's pipes or terminal: the child's three descriptors, and ours.
type streams struct {
	child        []uintptr
	in, out, err *os.File
}

func (s *streams) closeHost() {
	for _, file := range []*os.File{s.out, s.err} {
		if file != nil {
			file.Close()
		}
	}
}

// openStreams makes pipes, or a terminal. closeChild closes the child's ends after it has started.
func openStreams(spec execSpec) (s *streams, closeChild func(), terminal *os.File, err error) {
	var child []*os.File
	closeChild = func() {
		for _, file := range child {
			file.Close()
		}
	}
	if spec.TTY != nil {
		master, slave, err := openTerminal(*spec.TTY)
		if err != nil {
			return nil, nil, nil, err
		}
		child = []*os.File{slave}
		// A terminal is read and written through two descriptors, so that closing input leaves output.
		input, err := unix.Dup(int(master.Fd()))
		if err != nil {
			return nil, nil, nil, err
		}
		fd := slave.Fd()
		in := os.NewFile(uintptr(input), "terminal")
		return &streams{child: []uintptr{fd, fd, fd}, in: in, out: master}, closeChild, master, nil
	}
	s = &streams{}
	var childIn *os.File
	if spec.Stdin {
		childIn, s.in, err = os.Pipe()
	} else {
		childIn, err = os.Open(os.DevNull)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	errRead, errWrite, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	child = []*os.File{childIn, outWrite, errWrite}
	s.out, s.err = outRead, errRead
	s.child = []uintptr{childIn.Fd(), outWrite.Fd(), errWrite.Fd()}
	return s, closeChild, nil, nil
}

func openTerminal(size terminalSize) (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	setSize(master, size.Cols, size.Rows)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	return master, slave, err
}

func setSize(terminal *os.File, cols, rows uint16) {
	unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
}

// defaultEnv is what a command has that the host did not set.
var defaultEnv = map[string]string{
	"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME": "/root",
	"USER": "root",
	"LANG": "C.UTF-8",
}

func environment(spec execSpec) []string {
	merged := map[string]string{}
	for key, value := range defaultEnv {
		merged[key] = value
	}
	if spec.TTY != nil {
		merged["TERM"] = spec.TTY.Term
	}
	for key, value := range spec.Env {
		merged[key] = value
	}
	list := make([]string, 0, len(merged))
	for key, value := range merged {
		list = append(list, key+"="+value)
	}
	sort.Strings(list)
	return list
}

func environmentPath(spec execSpec) string {
	if path, ok := spec.Env["PATH"]; ok {
		return path
	}
	return defaultEnv["PATH"]
}

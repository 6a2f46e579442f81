package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// terminal is the host's side of a command's pseudo terminal (pty(7)).
type terminal struct {
	*os.File
}

// openTerminal makes a terminal and returns the descriptor of its slave for the command. The caller
// closes both.
func openTerminal(size TTY) (terminal, int, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return terminal{}, -1, fmt.Errorf("open /dev/ptmx: %w", err)
	}
	t := terminal{os.NewFile(uintptr(fd), "terminal")}
	slave, err := openSlave(fd)
	if err != nil {
		t.Close()
		return terminal{}, -1, fmt.Errorf("open terminal: %w", err)
	}
	t.resize(size.Columns, size.Rows)
	if mode, err := unix.IoctlGetTermios(slave, unix.TCGETS); err == nil {
		mode.Iflag |= unix.IUTF8 // erase a whole character, not its last byte
		unix.IoctlSetTermios(slave, unix.TCSETS, mode)
	}
	return t, slave, nil
}

// openSlave does not go by the name /dev/pts/N, which may mean another instance of devpts.
func openSlave(master int) (int, error) {
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return -1, err
	}
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER,
		unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return -1, errno
	}
	return int(slave), nil
}

func (t terminal) resize(columns, rows uint16) {
	t.control(func(fd int) {
		unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	})
}

// endInput is what a person does at the end of input: type the end-of-file character, while the
// terminal reads by lines and gives it a meaning.
func (t terminal) endInput() {
	end := byte(0)
	t.control(func(fd int) {
		mode, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err == nil && mode.Lflag&unix.ICANON != 0 {
			end = mode.Cc[unix.VEOF]
		}
	})
	if end != 0 {
		t.Write([]byte{end})
	}
}

// control reaches the descriptor without turning the file into a blocking one, as Fd would.
func (t terminal) control(act func(fd int)) {
	if raw, err := t.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { act(int(fd)) })
	}
}

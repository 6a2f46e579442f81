package dial

import (
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a TCP socket of the host.
type Conn struct{ *os.File }

// TCP connects to an address. A dial of Go's own costs two goroutines and twice the system calls, which
// is most of what a connection to somewhere near costs altogether. `gone` gives it up.
func TCP(to netip.AddrPort, gone <-chan struct{}) (Conn, error) {
	family, address := sockaddrOf(to)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return Conn{}, err
	}
	err = unix.Connect(fd, address)
	if err != nil && err != unix.EINPROGRESS && err != unix.EINTR {
		unix.Close(fd)
		return Conn{}, err
	}
	conn := Conn{os.NewFile(uintptr(fd), "tcp")}
	// A server on this machine or next to it has answered by now.
	settled, err := connected(fd)
	if !settled {
		err = conn.await(gone)
	}
	if err != nil {
		conn.Close()
		return Conn{}, err
	}
	return conn, nil
}

// await waits for the server's answer.
func (c Conn) await(gone <-chan struct{}) error {
	c.SetWriteDeadline(time.Now().Add(dialTimeout))
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-gone:
			c.SetWriteDeadline(time.Unix(1, 0))
		case <-done:
		}
	}()
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Write(func(fd uintptr) (settled bool) {
		settled, failed = connected(int(fd))
		return settled
	})
	if err != nil {
		return err
	}
	return failed
}

// connected tells whether the fate of a connection is known, and the error if it failed.
func connected(fd int) (bool, error) {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	if n, err := unix.Poll(poll, 0); err != nil || n == 0 {
		return false, nil
	}
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return true, err
	}
	if code != 0 {
		return true, syscall.Errno(code)
	}
	return true, nil
}

func sockaddrOf(to netip.AddrPort) (int, unix.Sockaddr) {
	if addr := to.Addr(); addr.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: addr.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
}

// KeepAlive sets what may wait until the connection is made.
func (c Conn) KeepAlive() {
	c.control(func(fd int) error {
		for _, option := range []struct{ level, name, value int }{
			{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(KeepAliveIdle / time.Second)},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(KeepAliveInterval / time.Second)},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, KeepAliveCount},
		} {
			unix.SetsockoptInt(fd, option.level, option.name, option.value)
		}
		return nil
	})
}

func (c Conn) CloseWrite() error {
	return c.control(func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
}

// Abort resets the connection.
func (c Conn) Abort() {
	c.control(func(fd int) error {
		return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	})
	c.Close()
}

func (c Conn) control(do func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}

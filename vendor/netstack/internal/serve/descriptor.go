package serve

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/containers/gvisor-tap-vsock/pkg/transport"
	"golang.org/x/sys/unix"
)

const (
	// handOverLimit is how long whoever connects may take to hand over what it came for.
	handOverLimit = 10 * time.Second
	// mostDescriptors is for how many there is room, so that one too many is seen and closed.
	mostDescriptors = 8
)

// acceptDescriptor waits for the first who connects, and takes the guest's end of the cable from him: exactly
// one descriptor, of one end of a pair of datagram sockets. Nobody is listened to after that.
func acceptDescriptor(path string) (net.Conn, error) {
	listener, err := transport.Listen(path)
	if err != nil {
		return nil, err
	}
	conn, err := listener.Accept()
	listener.Close()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(handOverLimit))
	fd, err := oneDescriptor(conn.(*net.UnixConn))
	if err != nil {
		return nil, fmt.Errorf("the guest's end of the cable: %w", err)
	}
	return pairEnd(fd)
}

// oneDescriptor reads the one descriptor that a message brings, and closes all of several.
func oneDescriptor(conn *net.UnixConn) (int, error) {
	word, rights := make([]byte, 64), make([]byte, syscall.CmsgSpace(4*mostDescriptors))
	_, n, flags, _, err := conn.ReadMsgUnix(word, rights)
	if err != nil {
		return -1, fmt.Errorf("nobody handed it over: %w", err)
	}
	messages, err := syscall.ParseSocketControlMessage(rights[:n])
	if err != nil {
		return -1, err
	}
	var fds []int
	for _, message := range messages {
		if got, err := syscall.ParseUnixRights(&message); err == nil {
			fds = append(fds, got...)
		}
	}
	if len(fds) == 1 && flags&unix.MSG_CTRUNC == 0 {
		return fds[0], nil
	}
	for _, fd := range fds {
		syscall.Close(fd)
	}
	return -1, fmt.Errorf("%d descriptors were handed over, which are to be one", len(fds))
}

// pairEnd is the connection of a descriptor that can only be one end of a pair: a datagram socket without an
// address, which nobody else can send to.
func pairEnd(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "")
	defer file.Close()
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_DGRAM {
		return nil, errors.New("the guest's end of the cable: what was handed over is no datagram socket")
	}
	for _, name := range []func(int) (unix.Sockaddr, error){unix.Getsockname, unix.Getpeername} {
		address, err := name(fd)
		// One without a name is "@" on Linux.
		if at, ok := address.(*unix.SockaddrUnix); err != nil || !ok || strings.TrimPrefix(at.Name, "@") != "" {
			return nil, errors.New("the guest's end of the cable: what was handed over is no end of a pair")
		}
	}
	return net.FileConn(file)
}

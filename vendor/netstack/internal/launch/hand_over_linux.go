package launch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// handOver makes the socket that a file daemon listens on, connects to it, and sends the connection
// through another socket. Nobody else can connect: the name is one of this network namespace, which
// nobody else is in, and the daemon accepts once.
func handOver(through int) (listener int, err error) {
	listener, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.Bind(listener, &unix.SockaddrUnix{}); err != nil { // the kernel chooses a name
		return 0, err
	}
	if err := unix.Listen(listener, 1); err != nil {
		return 0, err
	}
	name, err := unix.Getsockname(listener)
	if err != nil {
		return 0, err
	}
	client, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(client)
	if err := unix.Connect(client, name); err != nil {
		return 0, err
	}
	return listener, unix.Sendmsg(through, []byte{0}, unix.UnixRights(client), nil, 0)
}

var errNoConnection = errors.New("a file daemon did not start")

// receive puts in the place of each descriptor of the list, which are sockets, what was handed over
// through it.
func receive(list string) error {
	for text := range strings.SplitSeq(list, ",") {
		if text == "" {
			continue
		}
		through, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("launch: %q is not a descriptor", text)
		}
		if err := receiveOne(through); err != nil {
			return err
		}
	}
	return nil
}

func receiveOne(through int) error {
	if err := unix.SetNonblock(through, false); err != nil {
		return err
	}
	control := make([]byte, unix.CmsgSpace(4))
	_, size, _, _, err := unix.Recvmsg(through, make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return err
	}
	messages, err := unix.ParseSocketControlMessage(control[:size])
	if err != nil || len(messages) != 1 {
		return errors.Join(err, errNoConnection)
	}
	descriptors, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(descriptors) != 1 {
		return errors.Join(err, errNoConnection)
	}
	defer unix.Close(descriptors[0])
	return unix.Dup3(descriptors[0], through, 0)
}

// Greet is `netstack greet FD`: whether the file daemon whose connection comes through the descriptor
// answers, which it does once it has made its sandbox.
func Greet(args []string) error {
	if len(args) != 1 {
		return errors.New("greet: one descriptor is wanted")
	}
	if err := receive(args[0]); err != nil {
		return err
	}
	fd, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	daemon := os.NewFile(uintptr(fd), "daemon")
	// VHOST_USER_GET_FEATURES of version 1, without a payload; answered with 64 bits.
	const getFeatures, version, isReply = 1, 1, 4
	if _, err := daemon.Write(message(getFeatures, version, 0)); err != nil {
		return err
	}
	answer := make([]byte, 12+8)
	if _, err := io.ReadFull(daemon, answer); err != nil {
		return fmt.Errorf("the file daemon does not answer: %w", err)
	}
	if string(answer[:12]) != string(message(getFeatures, version|isReply, 8)) {
		return errors.New("what answers is not a file daemon")
	}
	return nil
}

// message is a header of the vhost-user protocol, which has the machine's byte order.
func message(request, flags, size uint32) []byte {
	var header []byte
	for _, field := range []uint32{request, flags, size} {
		header = binary.NativeEndian.AppendUint32(header, field)
	}
	return header
}

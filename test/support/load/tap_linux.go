package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

const (
	tunSetIFF = 0x400454ca
	frameMax  = 65536 + 64
)

// tap is a virtual machine's network card without the machine: it makes a TAP device in this network
// namespace and carries its frames as QEMU would, each behind its length. Prints nothing;
// the device is there once it shows up. Ends when the other side does.
func tap(o options) (any, error) {
	device, err := openTap(o.device)
	if err != nil {
		return nil, err
	}
	wire, err := net.FileConn(os.NewFile(3, "frames"))
	if o.wire != "" {
		wire, err = net.Dial("unix", o.wire)
	}
	if err != nil {
		return nil, err
	}
	failed := make(chan error, 2)
	go func() { failed <- toDevice(wire, device) }()
	go func() { failed <- toWire(device, wire) }()
	if err := <-failed; !errors.Is(err, io.EOF) {
		return nil, err
	}
	os.Exit(0)
	return nil, nil
}

func openTap(name string) (*os.File, error) {
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var request struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], name)
	request.flags = syscall.IFF_TAP | syscall.IFF_NO_PI
	at := uintptr(unsafe.Pointer(&request))
	if _, _, no := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), tunSetIFF, at); no != 0 {
		return nil, no
	}
	return os.NewFile(uintptr(fd), name), nil
}

// toDevice writes each frame from where it was read, as a network card would.
func toDevice(wire io.Reader, device io.Writer) error {
	in := bufio.NewReaderSize(wire, 512<<10)
	for {
		head, err := in.Peek(4)
		if err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(head))
		if n > frameMax {
			return errors.New("a frame larger than any device sends")
		}
		whole, err := in.Peek(4 + n)
		if err != nil {
			return err
		}
		// The kernel refuses frames while the device is down; they are lost as on any wire.
		device.Write(whole[4:])
		in.Discard(4 + n)
	}
}

func toWire(device io.Reader, wire io.Writer) error {
	frame := make([]byte, 4+frameMax)
	for {
		n, err := device.Read(frame[4:])
		if err != nil {
			return err
		}
		binary.BigEndian.PutUint32(frame, uint32(n))
		if _, err := wire.Write(frame[:4+n]); err != nil {
			return err
		}
	}
}

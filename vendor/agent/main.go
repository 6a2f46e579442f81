// Command agent is PID 1 of the guest: it brings the machine up, then runs commands for the host over
// one virtio-serial port. docs/agent-protocol.md specifies what travels there.
//
// When it ends, for whatever reason, the kernel panics and QEMU leaves: a guest without its agent is
// no guest.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"sbx/agent/internal/wire"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

func run() error {
	if err := mountEarly(); err != nil {
		return err
	}
	if err := loadModules("/modules"); err != nil {
		return err
	}
	port, err := openPort("sbx")
	if err != nil {
		return err
	}
	s := &session{
		writer:  wire.NewWriter(port),
		calls:   map[uint32]*call{},
		machine: &machine{},
		reaper:  newReaper(),
	}
	err = s.serve(wire.NewReader(port))
	if errors.Is(err, io.EOF) {
		return powerOff()
	}
	return err
}

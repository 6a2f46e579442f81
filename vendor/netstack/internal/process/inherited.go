// Package process is what this process was started with: its descriptors.
package process

import (
	"fmt"
	"net"
	"os"
)

// Inherited is the socket that a descriptor was started with.
func Inherited(fd uintptr) (net.Conn, error) {
	file := os.NewFile(fd, "")
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d is not an inherited socket: %w", fd, err)
	}
	file.Close()
	return conn, nil
}

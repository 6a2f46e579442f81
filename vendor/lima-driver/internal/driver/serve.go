package driver

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"sbx.dev/lima-driver/internal/guest"
	"sbx.dev/lima-driver/internal/rpc"
)

// Name is the driver's, and the instance's `vmType`.
const Name = "sbx"

// goodbye is how long calls may take that are still being answered at the end.
const goodbye = time.Second

// Serve answers Lima on the socket that it expects in the instance's directory, until SIGTERM.
func Serve(sbx guest.Command, directory string) error {
	directory, err := filepath.Abs(directory)
	if err != nil {
		return err
	}
	path := filepath.Join(directory, Name+".drv.sock")
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("cannot replace the socket of an earlier driver: %w", err)
	}
	// Whoever can connect can start and stop the guest.
	before := syscall.Umask(0o077)
	listener, err := net.Listen("unix", path)
	syscall.Umask(before)
	if err != nil {
		return fmt.Errorf("cannot listen for Lima: %w", err)
	}
	d := New(sbx, directory)
	// Lima's client pings every ten seconds, calls or not.
	server := rpc.NewServer(d, grpc.KeepaliveEnforcementPolicy(
		keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true},
	))
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-d.abandoned:
		}
		d.close()
		time.AfterFunc(goodbye, server.Stop)
		server.GracefulStop()
	}()
	return server.Serve(listener)
}

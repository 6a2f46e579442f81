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

// lookEvery is how often the socket is looked for.
const lookEvery = time.Second

// removed is closed when the socket is no more where Lima looks for it: `limactl delete` removes it, and has
// no other word for a driver that served nothing but `limactl create`.
func removed(path string, made os.FileInfo) <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		for isAt(path, made) {
			time.Sleep(lookEvery)
		}
		close(gone)
	}()
	return gone
}

func isAt(path string, made os.FileInfo) bool {
	now, err := os.Lstat(path)
	return err == nil && os.SameFile(made, now)
}

// Serve answers Lima on the socket that it expects in the instance's directory, until SIGTERM.
func Serve(sbx guest.Command, directory string) error {
	directory, err := filepath.Abs(directory)
	if err != nil {
		return err
	}
	path := filepath.Join(directory, Name+".drv.sock")
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("cannot replace the socket of an earlier driver: %w; remove %s", err, path)
	}
	// Whoever can connect can start and stop the guest.
	before := syscall.Umask(0o077)
	listener, err := net.Listen("unix", path)
	syscall.Umask(before)
	if err != nil {
		return fmt.Errorf("cannot listen for Lima: %w; is the instance's directory yours to write, and its path short?", err)
	}
	// At the end there may be another driver's socket in its place.
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	made, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("cannot listen for Lima: %w; is the instance's directory yours to write, and its path short?", err)
	}
	defer func() {
		if isAt(path, made) {
			os.Remove(path)
		}
	}()
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
		case <-removed(path, made):
		}
		d.close()
		time.AfterFunc(goodbye, server.Stop)
		server.GracefulStop()
	}()
	return server.Serve(listener)
}

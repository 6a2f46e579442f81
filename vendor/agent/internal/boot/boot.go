// Package boot brings the kernel to the point where the host can be talked to.
package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Mount mounts what the agent itself needs, and makes the console its output.
func Mount() error {
	const guarded = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	for _, m := range []struct {
		kind, at string
		flags    uintptr
	}{
		{"devtmpfs", "/dev", unix.MS_NOSUID}, {"proc", "/proc", guarded}, {"sysfs", "/sys", guarded},
	} {
		// Some kernels mount devtmpfs themselves.
		if err := unix.Mount(m.kind, m.at, m.kind, m.flags, ""); err != nil && err != unix.EBUSY {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	return nil
}

// Modules is where the first file system has what the kernel lacks: files, and lists of those that go
// together. AtBoot is the list of what is always needed, AtLeisure of what nobody waits for.
const (
	Modules   = "/modules"
	AtBoot    = "order"
	AtLeisure = "leisure"
)

// LoadModules inserts the modules that a list in dir names, one a line and dependencies first. Without
// the list the kernel has all that is needed built in.
func LoadModules(dir, list string) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	return LoadModulesFrom(root, list)
}

// LoadModulesFrom does so where the directory may have no path any more.
func LoadModulesFrom(dir *os.Root, list string) error {
	order, err := dir.ReadFile(list)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(order)) {
		if err := insert(dir, name); err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
	}
	return nil
}

func insert(dir *os.Root, name string) error {
	module, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer module.Close()
	if err := unix.FinitModule(int(module.Fd()), "", 0); err != unix.EEXIST {
		return err
	}
	return nil
}

const (
	ports = "/sys/class/virtio-ports"
	// portWait is generous: the port appears some milliseconds after its driver.
	portWait = 10 * time.Second
)

// OpenPort opens the virtio-serial port with a name.
func OpenPort(name string) (*os.File, error) {
	for end := time.Now().Add(portWait); time.Now().Before(end); time.Sleep(time.Millisecond) {
		entries, err := os.ReadDir(ports)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			text, err := os.ReadFile(ports + "/" + entry.Name() + "/name")
			if err == nil && strings.TrimSpace(string(text)) == name {
				return os.OpenFile("/dev/"+entry.Name(), os.O_RDWR|unix.O_NONBLOCK, 0)
			}
		}
	}
	return nil, fmt.Errorf("no virtio-serial port named %s", name)
}

// RaiseLimits lets commands open as many files as the kernel can: its own default of 4096 stops
// servers and package managers.
func RaiseLimits() error {
	limit := unix.Rlimit{Cur: 65536, Max: 1 << 20}
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}

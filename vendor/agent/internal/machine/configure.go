// Package machine makes a booted kernel into the guest that commands run in. It is done once, by the
// method "configure", before anything else runs:
//
//	entropy, name → root assembled → root entered → the user's mounts → network
//
// Every step is needed, so any failure fails the call; the host then gives the guest up.
package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/boot"
	"sbx.dev/agent/internal/session"
	"sbx.dev/agent/internal/trust"
)

// Config is the request of "configure". Stream 0 brings a tar archive of files for the new root.
type Config struct {
	Hostname string `json:"hostname"`
	// Entropy is at least 32 random bytes that no other guest gets.
	Entropy []byte `json:"entropy"`
	// Home is the directory of the user that commands run as.
	Home string `json:"home"`
	// Env is what the environment of every command begins with.
	Env map[string]string `json:"env"`
	// Network nil means a loopback and nothing else.
	Network *Network `json:"network"`
	// Trees are read-only directories of the host that get a writable layer, such as /usr.
	Trees []Share `json:"trees"`
	// Mounts are the directories and files that the user named.
	Mounts []Share `json:"mounts"`
	// Links of the root by name, such as bin → usr/bin.
	Links map[string]string `json:"links"`
	// Trust nil means that nothing is intercepted.
	Trust *trust.Config `json:"trust"`
}

// Share is a directory that the host exports, or a file that came with the archive.
type Share struct {
	Tag string `json:"tag"`
	// Transport is "virtiofs", or "9p", which empty means, too.
	Transport string `json:"transport"`
	// Files is how many files the host can have open for the share; it may hold one for each that the
	// guest knows. 0: it holds none.
	Files int `json:"files"`
	// File is a path in the new root, empty for a directory.
	File     string `json:"file"`
	At       string `json:"at"`
	ReadOnly bool   `json:"readOnly"`
}

// Machine remembers whether the guest is ready for commands.
type Machine struct {
	begun  atomic.Bool
	config atomic.Pointer[Config] // nil until the guest is ready
	// attach mounts a share; a test without QEMU puts something else in its place.
	attach func(share Share, target, cache string) error
}

// New returns the machine as the kernel left it.
func New() *Machine { return &Machine{attach: attach} }

// Configure is the method "configure".
func (m *Machine) Configure(call *session.Call) (any, error) {
	if m.begun.Swap(true) {
		return nil, errors.New("the machine is configured already")
	}
	var config Config
	if err := json.Unmarshal(call.Request, &config); err != nil {
		return nil, err
	}
	if err := m.apply(config, call.Input); err != nil {
		return nil, err
	}
	m.config.Store(&config)
	return nil, nil
}

// Config is what "configure" said, for methods that run after it.
func (m *Machine) Config() Config { return *m.config.Load() }

// Cable is both ends of the guest's only link, in IPv4; not ok without a network, and before "configure".
func (m *Machine) Cable() (guest, gateway netip.Addr, ok bool) {
	config := m.config.Load()
	if config == nil || config.Network == nil {
		return guest, gateway, false
	}
	return config.Network.Guest4, config.Network.Gateway4, true
}

// WhenReady refuses a method's calls until the machine is configured: a command that ran earlier would
// run with the wrong root, the wrong time and somebody else's random numbers.
func (m *Machine) WhenReady(method session.Method) session.Method {
	return func(call *session.Call) (any, error) {
		if m.config.Load() == nil {
			return nil, errors.New("the machine is not configured")
		}
		return method(call)
	}
}

func (m *Machine) apply(config Config, archive io.Reader) error {
	if err := Reseed(config.Entropy); err != nil {
		return fmt.Errorf("random generator: %w", err)
	}
	if err := unix.Sethostname([]byte(config.Hostname)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	// While the modules are there.
	if slices.ContainsFunc(config.Mounts, func(share Share) bool { return share.Transport == virtiofs }) {
		if err := boot.LoadModules(boot.Modules, virtiofs); err != nil {
			return err
		}
	}
	if err := m.assembleRoot(config, archive); err != nil {
		return err
	}
	if err := enterRoot(); err != nil {
		return err
	}
	for _, share := range inOrder(config.Mounts) {
		if share.File != "" {
			if err := mountFile(share); err != nil {
				return err
			}
			continue
		}
		if err := makeDirectory(share.At); err != nil {
			return err
		}
		// The host goes on using these, so only what is mapped into memory is cached.
		if err := m.attach(share, share.At, "mmap"); err != nil {
			return err
		}
	}
	go forgetInTime(config.Mounts)
	// Without a group of its own, ping would need to be root.
	os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0)
	if err := bringUpLoopback(); err != nil {
		return err
	}
	if config.Network == nil {
		return nil
	}
	return bringUp(*config.Network)
}

// Package machine makes a booted kernel into the guest that commands run in. It is done once, by the
// method "configure", before anything else runs:
//
//	entropy, clock, name → root assembled → root entered → the user's mounts → network
//
// Every step is needed, so any failure fails the call; the host then gives the guest up.
package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/session"
	"sbx.dev/agent/internal/trust"
)

// Config is the request of "configure". Stream 0 brings a tar archive of files for the new root.
type Config struct {
	Hostname string `json:"hostname"`
	// TimeNs is the host's clock, nanoseconds since 1970.
	TimeNs int64 `json:"timeNs"`
	// Entropy is at least 32 random bytes that no other guest gets.
	Entropy []byte `json:"entropy"`
	// Home is the directory of the user that commands run as.
	Home string `json:"home"`
	// Network nil means a loopback and nothing else.
	Network *Network `json:"network"`
	// Trees are read-only directories of the host that get a writable layer, such as /usr.
	Trees []Share `json:"trees"`
	// Mounts are the directories that the user named.
	Mounts []Share `json:"mounts"`
	// Links of the root by name, such as bin → usr/bin.
	Links map[string]string `json:"links"`
	// Trust nil means that nothing is intercepted.
	Trust *trust.Config `json:"trust"`
}

// Share is a directory that QEMU exports by 9p.
type Share struct {
	Tag      string `json:"tag"`
	At       string `json:"at"`
	ReadOnly bool   `json:"readOnly"`
}

// Machine remembers whether the guest is ready for commands.
type Machine struct {
	begun, ready atomic.Bool
	trust        atomic.Pointer[trust.Config]
	// attach mounts a share; a test without QEMU puts something else in its place.
	attach func(share Share, target, cache string) error
}

// New returns the machine as the kernel left it.
func New() *Machine { return &Machine{attach: attach9p} }

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
	m.trust.Store(config.Trust)
	m.ready.Store(true)
	return nil, nil
}

// Trust is what "configure" said of it; nil before.
func (m *Machine) Trust() *trust.Config { return m.trust.Load() }

// WhenReady refuses a method's calls until the machine is configured: a command that ran earlier would
// run with the wrong root, the wrong time and somebody else's random numbers.
func (m *Machine) WhenReady(method session.Method) session.Method {
	return func(call *session.Call) (any, error) {
		if !m.ready.Load() {
			return nil, errors.New("the machine is not configured")
		}
		return method(call)
	}
}

func (m *Machine) apply(config Config, archive io.Reader) error {
	if err := Reseed(config.Entropy); err != nil {
		return fmt.Errorf("random generator: %w", err)
	}
	now := unix.NsecToTimespec(config.TimeNs)
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	if err := unix.Sethostname([]byte(config.Hostname)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if err := m.assembleRoot(config, archive); err != nil {
		return err
	}
	if err := enterRoot(); err != nil {
		return err
	}
	for _, share := range inOrder(config.Mounts) {
		if err := makeDirectory(share.At); err != nil {
			return err
		}
		// The host goes on using these, so only what is mapped into memory is cached.
		if err := m.attach(share, share.At, "mmap"); err != nil {
			return err
		}
	}
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

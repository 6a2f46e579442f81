// Package machine makes a booted kernel into the guest that commands run in. It is done once, in two
// steps, before anything else runs:
//
//	prepare     the root and the network, as every guest of this host has them
//	configure   entropy, name → trees, files of this guest → root entered → the user's mounts
//
// Between the two the machine may be saved, and go on many times: without a disk, what makes a guest somebody's
// comes with the second alone. It may be saved before both, too, with the modules that they can need. Every step
// is needed, so any failure fails the call; the host then gives the guest up.
package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/archive"
	"sbx.dev/agent/internal/changes"
	"sbx.dev/agent/internal/process"
	"sbx.dev/agent/internal/session"
	"sbx.dev/agent/internal/still"
	"sbx.dev/agent/internal/trust"
)

// Config is the request of "configure". Stream 0 brings a tar archive of this guest's own files.
type Config struct {
	Hostname string `json:"hostname"`
	// Entropy is at least 32 random bytes that no other guest gets.
	Entropy []byte `json:"entropy"`
	// Env is what the environment of every command begins with.
	Env map[string]string `json:"env"`
	// NewDevices says that some came to the machine while it was saved: those of the mounts.
	NewDevices bool `json:"newDevices"`
	// Mounts are the directories and files that the user named.
	Mounts []Share `json:"mounts"`
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
	// As is asCached, asCopy, or empty for what both sides use.
	As string `json:"as"`
}

// Machine remembers whether the guest is ready for commands.
type Machine struct {
	preparing   atomic.Bool
	prepared    chan struct{} // closed once the root is there
	preparation atomic.Pointer[Preparation]
	begun       atomic.Bool
	config      atomic.Pointer[Config] // nil until the guest is ready
	// copies are by where they are mounted; nobody writes here once the guest is ready.
	copies map[string]changes.Copy
	// served are the shares of the root whose files the kernel is made to forget in time.
	served []servedShare
	// disk is the file system of a kept disk, below which the guest's root is; nil without one.
	disk *os.Root
	// stands is what stands still, if anything.
	stands   *still.Processes
	standing sync.Mutex
	// attach mounts a share; a test without QEMU puts something else in its place.
	attach func(share Share, target, cache string) error
}

// New returns the machine as the kernel left it.
func New() *Machine {
	return &Machine{prepared: make(chan struct{}), attach: attach}
}

// Configure is the method "configure". It waits for "prepare", which the host need not wait for.
func (m *Machine) Configure(call *session.Call) (any, error) {
	if m.begun.Swap(true) {
		return nil, errors.New("the machine is configured already")
	}
	var config Config
	if err := json.Unmarshal(call.Request, &config); err != nil {
		return nil, err
	}
	<-m.prepared
	if err := m.apply(config, call.Input); err != nil {
		return nil, err
	}
	m.config.Store(&config)
	return nil, nil
}

// Surroundings is what commands find, once the guest is ready.
func (m *Machine) Surroundings() process.Surroundings {
	config := m.config.Load()
	return process.Surroundings{Home: m.preparation.Load().Home, Env: config.Env, Trust: config.Trust}
}

// Cable is both ends of the guest's only link, in IPv4; not ok without a network, and before "prepare".
func (m *Machine) Cable() (guest, gateway netip.Addr, ok bool) {
	preparation := m.preparation.Load()
	if preparation == nil || preparation.Network == nil {
		return guest, gateway, false
	}
	return preparation.Network.Guest4, preparation.Network.Gateway4, true
}

// Copy is what is mounted as one at a path.
func (m *Machine) Copy(at string) (changes.Copy, bool) {
	found, known := m.copies[at]
	return found, known
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

func (m *Machine) apply(config Config, packed io.Reader) error {
	if err := begin(config.Entropy, config.NewDevices); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(config.Hostname)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if err := m.completeRoot(*m.preparation.Load(), packed); err != nil {
		return err
	}
	own, err := archive.OpenTree(scratch)
	if err != nil {
		return err
	}
	defer own.Close()
	disk, err := os.OpenRoot(scratch) // it cannot be named once the root is entered
	if err != nil {
		return err
	}
	if err := enterRoot(); err != nil {
		return err
	}
	if err := m.mountAll(config.Mounts, own); err != nil || !m.isKept() {
		return errors.Join(err, disk.Close())
	}
	m.disk = disk
	return holdReserve(disk)
}

// mountAll mounts what the user named. What is written to copies is kept in own.
func (m *Machine) mountAll(mounts []Share, own archive.Tree) error {
	served := m.served
	for _, share := range inOrder(mounts) {
		if share.File != "" {
			if err := mountFile(share); err != nil {
				return err
			}
			continue
		}
		if err := makeDirectory(share.At); err != nil {
			return err
		}
		if err := m.attach(share, share.At, cacheOf(share)); err != nil {
			return err
		}
		places := []string{share.At}
		if share.As == asCopy {
			laid, hidden, err := layCopy(own, share, m.isKept())
			if err != nil {
				return fmt.Errorf("copy at %s: %w", share.At, err)
			}
			if m.copies == nil {
				m.copies = map[string]changes.Copy{}
			}
			m.copies[share.At] = laid
			places = append(places, hidden)
		}
		served = append(served, servedShare{share, places})
	}
	go forgetInTime(served)
	return nil
}

// cacheOf is what 9p may keep. Where the host goes on using a share, that is only what is mapped into memory;
// and where the guest writes, too: Linux 6.1 with more has programs wait for ever.
func cacheOf(share Share) string {
	if share.As != "" && share.ReadOnly {
		return "loose"
	}
	return "mmap"
}

func (m *Machine) isKept() bool {
	preparation := m.preparation.Load()
	return preparation != nil && preparation.Disk != nil && preparation.Disk.Kept
}

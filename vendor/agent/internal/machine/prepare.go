package machine

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"sbx.dev/agent/internal/archive"
	"sbx.dev/agent/internal/boot"
	"sbx.dev/agent/internal/disk"
	"sbx.dev/agent/internal/session"
)

// Preparation is the request of "prepare": what every guest of this host has in common. Stream 0 brings
// a tar archive of files for the new root, and for the layers over its trees; with a disk, one of the kernel's
// modules for it comes first.
type Preparation struct {
	// Home is the directory of the user that commands run as.
	Home string `json:"home"`
	// Links of the root by name, such as bin → usr/bin.
	Links map[string]string `json:"links"`
	// Modules are lists of kernel modules that "configure" will need, beyond those of the boot.
	Modules []string `json:"modules"`
	// Resumed nil means that the machine booted for this guest.
	Resumed *Resumed `json:"resumed"`
	// Trees are read-only directories of the host that get a writable layer, such as /usr; one at / is all of
	// the root, and the only one. They are mounted by "configure", since a machine cannot be saved while a
	// share is.
	Trees []Share `json:"trees"`
	// Network nil means a loopback and nothing else.
	Network *Network `json:"network"`
	// Disk nil means that all that commands write is in memory.
	Disk *Disk `json:"disk"`
}

// Resumed says that the machine was saved before it was prepared, with the modules that it can need, and that
// devices came to it since.
type Resumed struct {
	// Entropy is at least 32 random bytes that no other guest gets.
	Entropy []byte `json:"entropy"`
}

// Disk is the device that what commands write goes to.
type Disk struct {
	// Kept says that the next guest finds what this one left.
	Kept bool `json:"kept"`
	// Owner is whose it is from now on, in 32 hexadecimal digits. Empty: it stays whose it was.
	Owner string `json:"owner"`
}

// Prepare is the method "prepare". Nothing of it may depend on the guest's own name or time, which the machine
// does not have yet, nor on its random numbers, unless it was resumed and has some.
func (m *Machine) Prepare(call *session.Call) (any, error) {
	if m.preparing.Swap(true) {
		return nil, errors.New("the machine is prepared already")
	}
	var preparation Preparation
	if err := json.Unmarshal(call.Request, &preparation); err != nil {
		return nil, err
	}
	if err := prepare(preparation, call.Input); err != nil {
		return nil, err
	}
	m.preparation.Store(&preparation)
	close(m.prepared)
	return nil, nil
}

// leisureAfter is longer than what is left of a start, which would wait for it.
const leisureAfter = time.Second

// endLater loads what nobody waits for, and removes what nobody needs any more of the kernel's first file
// system, where it lies in memory. That is covered by then.
func endLater() error {
	first, err := archive.OpenTree("/")
	if err != nil {
		return err
	}
	modules, err := os.OpenRoot(boot.Modules)
	if err != nil {
		return errors.Join(err, first.Close())
	}
	time.AfterFunc(leisureAfter, func() {
		defer first.Close()
		defer modules.Close()
		if err := boot.LoadModulesFrom(modules, boot.AtLeisure); err != nil {
			fmt.Fprintln(os.Stderr, "agent: memory is not given back:", err)
		}
		first.RemoveMatching(path.Base(boot.Modules), "*")
		first.RemoveMatching(".", "init")
	})
	return nil
}

func prepare(preparation Preparation, packed io.Reader) error {
	if resumed := preparation.Resumed; resumed != nil {
		if err := begin(resumed.Entropy, true); err != nil {
			return err
		}
	}
	for _, list := range preparation.Modules {
		if err := boot.LoadModules(boot.Modules, list); err != nil {
			return err
		}
	}
	packed = bufio.NewReaderSize(packed, archive.BufferSize)
	if preparation.Disk != nil && preparation.Resumed == nil {
		if err := loadFrom(packed, []string{disk.Modules}); err != nil {
			return fmt.Errorf("modules of the disk: %w", err)
		}
	}
	if err := assembleRoot(preparation, packed); err != nil {
		return fmt.Errorf("root: %w", err)
	}
	if err := mountLate(); err != nil {
		return err
	}
	if err := endLater(); err != nil {
		return err
	}
	// Without a group of its own, ping would need to be root.
	os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0)
	if err := bringUpLoopback(); err != nil {
		return err
	}
	if preparation.Network == nil {
		return nil
	}
	return bringUp(*preparation.Network)
}

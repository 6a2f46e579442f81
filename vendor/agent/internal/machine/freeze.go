package machine

import (
	"errors"
	"fmt"
	"os"

	"sbx.dev/agent/internal/disk"
	"sbx.dev/agent/internal/session"
)

// Freeze is the method "freeze": the machine's disk stands still, with all that was written on it, from the byte
// that stream 1 brings until the end of stream 0.
func (m *Machine) Freeze(call *session.Call) (any, error) {
	if m.preparation.Load().Disk == nil {
		return nil, errors.New("the machine has no disk")
	}
	root, err := m.ownDisk()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := disk.Hold(root, call.Output, call.Input); err != nil {
		return nil, fmt.Errorf("the disk: %w", err)
	}
	return nil, nil
}

// ownDisk is the top of the disk's file system, which is not that of a root that is somebody's tree.
func (m *Machine) ownDisk() (*os.File, error) {
	if m.disk == nil {
		return os.Open("/")
	}
	return m.disk.Open(".")
}

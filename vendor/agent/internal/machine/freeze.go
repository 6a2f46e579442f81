package machine

import (
	"errors"
	"fmt"

	"sbx.dev/agent/internal/disk"
	"sbx.dev/agent/internal/session"
)

// Freeze is the method "freeze": the machine's disk stands still, with all that was written on it, from the byte
// that stream 1 brings until the end of stream 0.
func (m *Machine) Freeze(call *session.Call) (any, error) {
	if m.preparation.Load().Disk == nil {
		return nil, errors.New("the machine has no disk")
	}
	if err := disk.Hold("/", call.Output, call.Input); err != nil {
		return nil, fmt.Errorf("the disk: %w", err)
	}
	return nil, nil
}

package machine

import (
	"encoding/json"
	"errors"
	"io"

	"sbx.dev/agent/internal/archive"
	"sbx.dev/agent/internal/boot"
	"sbx.dev/agent/internal/session"
)

// Load is the method "load": a machine that is saved before it is prepared gets lists of kernel modules, which
// guests may need that go on from it. Stream 0 brings a tar archive of those that the first file system lacks.
func (m *Machine) Load(call *session.Call) (any, error) {
	var request struct {
		Modules []string `json:"modules"`
	}
	if err := json.Unmarshal(call.Request, &request); err != nil {
		return nil, err
	}
	if m.preparing.Load() {
		return nil, errors.New("the machine is prepared already")
	}
	return nil, loadFrom(call.Input, request.Modules)
}

func loadFrom(packed io.Reader, lists []string) error {
	if _, err := archive.Unpack(packed, boot.Modules, archive.Replaced); err != nil {
		return err
	}
	for _, list := range lists {
		if err := boot.LoadModules(boot.Modules, list); err != nil {
			return err
		}
	}
	return nil
}

package loopback

import (
	"encoding/json"
	"net/netip"
	"slices"

	"sbx.dev/agent/internal/session"
)

// maxListeners bounds the answer; programs of the guest decide how many sockets there are.
const maxListeners = 64

// Listeners is what "listening" answers.
type Listeners struct {
	// At are the addresses, 0.0.0.0 and :: among them; empty when nobody listens.
	At []netip.Addr `json:"at"`
}

// Listening is the method "listening": at which addresses of the guest somebody listens on a TCP port.
func Listening(call *session.Call) (any, error) {
	var r struct {
		Port uint16 `json:"port"`
	}
	if err := json.Unmarshal(call.Request, &r); err != nil {
		return nil, err
	}
	found, err := listeners(r.Port)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, netip.Addr.Compare)
	found = slices.Compact(found)
	return Listeners{append([]netip.Addr{}, found[:min(len(found), maxListeners)]...)}, nil
}

// Package loopback leads the host to servers that listen on the guest's loopback alone. For each it
// listens on a port of the guest's own address that the kernel chooses:
//
//	gateway ──► guest:chosen ──► 127.0.0.1:port or [::1]:port
//
// The port that the server has is left alone, so that one which later wants it on all addresses gets it.
// Such a server trusts its peers for being on its machine, so only the gateway is let in: the host decides
// who stands behind it.
package loopback

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"sbx.dev/agent/internal/session"
)

// maxTries bounds the search for a port that is not to be avoided.
const maxTries = 16

// Cable tells the guest's address and the gateway's; false when there is no network.
type Cable func() (guest, gateway netip.Addr, ok bool)

// NoCable is that of a machine without a network: servers are found, and nothing leads to them.
func NoCable() (guest, gateway netip.Addr, ok bool) { return guest, gateway, false }

// Forwards are all that lead to servers, by the server's port.
type Forwards struct {
	cable Cable
	mutex sync.Mutex
	open  map[uint16]*forward
}

// New forwards nothing yet.
func New(cable Cable) *Forwards {
	return &Forwards{cable: cable, open: map[uint16]*forward{}}
}

type request struct {
	// Port is the server's.
	Port uint16 `json:"port"`
	// Forward false only asks, and leaves everything as it is.
	Forward bool `json:"forward"`
	// Avoid are ports that lead to the guest by themselves.
	Avoid []uint16 `json:"avoid"`
}

// Found is what "reach" answers; empty when nobody listens.
type Found struct {
	// At is the server's address.
	At string `json:"at,omitempty"`
	// Port leads there from the gateway.
	Port uint16 `json:"port,omitempty"`
}

// Reach is the method "reach".
func (f *Forwards) Reach(call *session.Call) (any, error) {
	var r request
	if err := json.Unmarshal(call.Request, &r); err != nil {
		return nil, err
	}
	return f.reach(r)
}

func (f *Forwards) reach(r request) (Found, error) {
	servers, err := serversOf(r.Port)
	if err != nil {
		return Found{}, err
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if len(servers) == 0 {
		if r.Forward {
			f.close(r.Port)
		}
		return Found{}, nil
	}
	found := Found{At: servers[0].String()}
	if !r.Forward {
		return found, nil
	}
	to := netip.AddrPortFrom(servers[0], r.Port)
	if lead := f.open[r.Port]; lead != nil && !slices.Contains(r.Avoid, lead.port()) {
		lead.to.Store(&to)
		found.Port = lead.port()
		return found, nil
	}
	f.close(r.Port)
	lead, err := f.listen(r.Avoid)
	if err != nil {
		return Found{}, err
	}
	lead.to.Store(&to)
	f.open[r.Port] = lead
	go lead.serve()
	found.Port = lead.port()
	return found, nil
}

// listen lets the kernel choose a port that is not to be avoided.
func (f *Forwards) listen(avoid []uint16) (*forward, error) {
	guest, gateway, ok := f.cable()
	if !ok {
		return nil, errors.New("the guest has no network")
	}
	for range maxTries {
		listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(guest, 0)))
		if err != nil {
			return nil, err
		}
		lead := &forward{listener: listener, peer: gateway}
		if !slices.Contains(avoid, lead.port()) {
			return lead, nil
		}
		defer listener.Close() // held meanwhile, so that another one is chosen
	}
	return nil, fmt.Errorf("no port to listen on after %d tries", maxTries)
}

// close ends what leads to a port; connections that it carries go on. Called with the lock held.
func (f *Forwards) close(port uint16) {
	if lead := f.open[port]; lead != nil {
		lead.listener.Close()
		delete(f.open, port)
	}
}

package machine

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/archive"
	"sbx.dev/agent/internal/disk"
	"sbx.dev/agent/internal/session"
	"sbx.dev/agent/internal/still"
)

// Renewal is the request of "renew": what is this machine's alone, of one that goes on from another one's memory.
// Stream 0 brings a tar archive of files.
type Renewal struct {
	Hostname string `json:"hostname"`
	// Entropy is at least 32 random bytes that no other guest gets.
	Entropy []byte `json:"entropy"`
	// Env is what the environment of every command begins with, from now on.
	Env map[string]string `json:"env"`
	// Owner is whose the disk is, in 32 hexadecimal digits. Empty: it stays whose it was.
	Owner string `json:"owner"`
}

// Most is written back while the processes run, and has longer for it than what is left then.
const (
	mostLimit = time.Minute
	restLimit = 20 * time.Second
)

// Still is the method "still": no process runs from its result on but this one, until "go-on" or "renew".
func (m *Machine) Still(*session.Call) (any, error) {
	m.standing.Lock()
	defer m.standing.Unlock()
	if m.stands != nil {
		return nil, errors.New("the machine stands still already")
	}
	root, err := m.ownDisk()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	mounts := m.writable()
	if err := still.WriteBack(mostLimit, root, mounts...); err != nil {
		return nil, err
	}
	stands, err := still.Freeze()
	if err != nil {
		return nil, err
	}
	if err := still.WriteBack(restLimit, root, mounts...); err != nil {
		return nil, errors.Join(err, stands.Thaw())
	}
	m.stands = stands
	return nil, nil
}

// writable is where directories of the host are mounted that the machine may write to.
func (m *Machine) writable() (all []string) {
	for _, share := range m.config.Load().Mounts {
		if !share.ReadOnly && share.File == "" {
			all = append(all, share.At)
		}
	}
	return all
}

// GoOn is the method "go-on": all is as it was, also where nothing stood still.
func (m *Machine) GoOn(*session.Call) (any, error) {
	m.standing.Lock()
	defer m.standing.Unlock()
	return nil, m.goOn()
}

// Renew is the method "renew", of a machine that was saved while it stood still: before any of its processes runs, it
// is another one.
func (m *Machine) Renew(call *session.Call) (any, error) {
	var renewal Renewal
	if err := json.Unmarshal(call.Request, &renewal); err != nil {
		return nil, err
	}
	m.standing.Lock()
	defer m.standing.Unlock()
	if m.stands == nil {
		return nil, errors.New("the machine does not stand still")
	}
	if err := m.renew(renewal, call); err != nil {
		return nil, err
	}
	reset, err := still.ResetConnections()
	if err != nil {
		return nil, err
	}
	return map[string]int{"reset": reset}, m.goOn()
}

func (m *Machine) goOn() error {
	if m.stands == nil {
		return nil
	}
	stands := m.stands
	m.stands = nil
	return stands.Thaw()
}

func (m *Machine) renew(renewal Renewal, call *session.Call) error {
	if err := Reseed(renewal.Entropy); err != nil {
		return fmt.Errorf("random generator: %w", err)
	}
	if err := unix.Sethostname([]byte(renewal.Hostname)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if renewal.Owner != "" {
		if err := m.become(renewal.Owner); err != nil {
			return fmt.Errorf("the disk: %w", err)
		}
	}
	if _, err := archive.Unpack(call.Input, "/", archive.Replaced); err != nil {
		return fmt.Errorf("files of the root: %w", err)
	}
	config := *m.config.Load()
	config.Hostname, config.Env = renewal.Hostname, renewal.Env
	m.config.Store(&config)
	return nil
}

// become is adopt, of a disk that is mounted as the root already.
func (m *Machine) become(owner string) error {
	id, err := hex.DecodeString(owner)
	if err != nil || len(id) != 16 {
		return fmt.Errorf("%q is no owner", owner)
	}
	root, err := archive.OpenTree("/")
	if err != nil {
		return err
	}
	defer root.Close()
	for _, each := range identities {
		directory, found := strings.CutPrefix(each.directory, "root/")
		if !found {
			continue
		}
		if err := root.RemoveMatching(directory, each.pattern); err != nil {
			return fmt.Errorf("remove %s/%s: %w", directory, each.pattern, err)
		}
	}
	if m.disk == nil {
		return nil
	}
	own, err := m.ownDisk()
	if err != nil {
		return err
	}
	defer own.Close()
	if err := disk.SetIdentity(own, [16]byte(id)); err != nil {
		return fmt.Errorf("give the file system another identity: %w", err)
	}
	const fresh = "owner.new"
	if err := m.disk.RemoveAll(fresh); err != nil {
		return err
	}
	if err := m.disk.WriteFile(fresh, []byte(owner), 0o600); err != nil {
		return err
	}
	if err := unix.Syncfs(int(own.Fd())); err != nil {
		return err
	}
	return m.disk.Rename(fresh, "owner")
}

// Package driver answers Lima for one instance.
package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"sbx.dev/lima-driver/internal/guest"
	"sbx.dev/lima-driver/internal/instance"
	"sbx.dev/lima-driver/internal/rpc"
)

// Driver has the guest of one instance, or none.
type Driver struct {
	sbx       guest.Command
	directory string
	mu        sync.Mutex
	instance  []byte
	guest     *guest.Guest // nil: none runs
	closed    bool
	abandoned chan struct{} // closed when Lima has no more use for the driver
}

// New is the driver of the instance in a directory.
func New(sbx guest.Command, directory string) *Driver {
	return &Driver{sbx: sbx, directory: directory, abandoned: make(chan struct{})}
}

var _ rpc.Driver = (*Driver)(nil)

// info is what Lima wants to know of the driver.
type info struct {
	Name        string   `json:"name"`
	VsockPort   int      `json:"vsockPort"`
	VirtioPort  string   `json:"virtioPort"`
	InstanceDir string   `json:"instanceDir"`
	Features    features `json:"features"`
}

type features struct {
	DynamicSSHAddress     bool     `json:"dynamicSSHAddress"`
	StaticSSHPort         bool     `json:"staticSSHPort"`
	SkipSocketForwarding  bool     `json:"skipSocketForwarding"`
	NoCloudInit           bool     `json:"noCloudInit"`
	SupportedImageFormats []string `json:"supportedImageFormats"`
}

// Info asks for raw images, into which Lima turns others: what a disk is must not be for its bytes to say,
// which the guest writes.
func (d *Driver) Info() (rpc.Value, error) {
	return json.Marshal(info{
		Name:        Name,
		InstanceDir: d.directory,
		Features:    features{SkipSocketForwarding: true, SupportedImageFormats: []string{"raw"}},
	})
}

// Configure refuses nothing: without it Lima could not delete an instance either.
func (d *Driver) Configure(ctx context.Context, given rpc.Value) (rpc.Value, error) {
	configured, err := guest.Configure(ctx, d.sbx, given)
	if err != nil {
		configured = instance.Survivable(given) // Validate and Start say why
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.instance = configured
	return configured, nil
}

func (d *Driver) Validate(ctx context.Context) error {
	configured, err := d.configured()
	if err != nil {
		return err
	}
	return guest.Check(ctx, d.sbx, configured)
}

func (d *Driver) CreateDisk() error {
	configured, err := d.configured()
	if err != nil {
		return err
	}
	return instance.CreateDisk(d.directory, configured)
}

func (d *Driver) Start(ctx context.Context, started func() error) error {
	booting, err := d.boot()
	if err != nil {
		return err
	}
	defer d.forget()
	defer booting.Kill() // when whoever asked for the guest is gone
	if err := booting.Running(ctx); err != nil {
		return err
	}
	if err := started(); err != nil {
		return err
	}
	err = booting.Gone(ctx)
	if ctx.Err() != nil {
		d.abandon()
	}
	return err
}

// boot starts the only guest that there may be.
func (d *Driver) boot() (*guest.Guest, error) {
	configured, err := d.configured()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.guest != nil || d.closed {
		return nil, errors.New("cannot start: the instance runs already, or its driver is about to end; see 'sbx lima ls', and try again once it is stopped")
	}
	lock, err := instance.Lock(d.directory)
	if err != nil {
		return nil, err
	}
	defer lock.Close() // the guest's sbx has it
	d.guest, err = guest.Run(d.sbx, d.directory, configured, lock)
	return d.guest, err
}

func (d *Driver) Stop(ctx context.Context) error {
	running := d.running()
	if running == nil {
		return nil
	}
	running.PowerDown()
	running.Gone(ctx) // why it went is for who started it
	running.Kill()
	return nil
}

// abandon has the driver end: a hostagent that was killed says no goodbye, and the next one starts a driver
// of its own.
func (d *Driver) abandon() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.closed = true
		close(d.abandoned)
	}
}

// Delete has the driver end. What it keeps is in the instance's directory, which Lima removes, and with it the
// file by which Lima would find the driver to end it.
func (d *Driver) Delete(ctx context.Context) {
	defer d.abandon()
	configured, err := d.configured()
	if err == nil {
		err = guest.Forget(ctx, d.sbx, configured)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lima-driver-sbx:", err)
	}
}

// close ends the guest, and lets none follow.
func (d *Driver) close() {
	d.mu.Lock()
	d.closed = true
	running := d.guest
	d.mu.Unlock()
	if running != nil {
		running.Kill()
	}
}

func (d *Driver) running() *guest.Guest {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.guest
}

func (d *Driver) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.guest = nil
}

func (d *Driver) configured() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.instance == nil {
		// Of two starts at once the one has the other's driver end.
		return nil, errors.New("cannot start: Lima did not tell this driver of the instance; try again when no other start is under way; sbx needs Lima 2.2 or newer")
	}
	return d.instance, nil
}

package machine

import (
	"fmt"
	"os"
)

// begin gives the machine random numbers of its own, before anything else draws some, and the devices that came
// to it while it was saved.
func begin(entropy []byte, newDevices bool) error {
	if err := Reseed(entropy); err != nil {
		return fmt.Errorf("random generator: %w", err)
	}
	if !newDevices {
		return nil
	}
	if err := findDevices(); err != nil {
		return fmt.Errorf("devices: %w", err)
	}
	return nil
}

// findDevices has the kernel look for devices that its bus did not have when it looked first. The ones
// that it finds have their drivers when this returns.
func findDevices() error {
	return os.WriteFile("/sys/bus/pci/rescan", []byte("1"), 0)
}

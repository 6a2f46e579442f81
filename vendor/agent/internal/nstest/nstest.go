// Package nstest runs a test in namespaces of its own, where it may change mounts and the network.
package nstest

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

const inside = "SBX_AGENT_TEST_INSIDE"

// Run runs the test again as a child in new namespaces, as root of a user namespace unless the caller
// is root already, and reports whether this is that child: everyone else returns at once.
//
//	if !nstest.Run(t, syscall.CLONE_NEWNET) {
//		return
//	}
func Run(t *testing.T, namespaces uintptr) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	test := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	test.Env = append(os.Environ(), inside+"=1")
	test.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces &^ syscall.CLONE_NEWNS}
	test.SysProcAttr.Unshareflags = namespaces & syscall.CLONE_NEWNS // which makes mounts private, too
	if uid := os.Getuid(); uid != 0 {
		test.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		test.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		test.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	output, err := test.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Skipf("this machine gives no namespaces: %v", err)
	}
	if err != nil {
		t.Fatalf("%v in its namespaces:\n%s", err, output)
	}
	return false
}

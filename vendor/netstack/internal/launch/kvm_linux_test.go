package launch

import (
	"os"
	"os/exec"
	"testing"

	"sbx.dev/netstack/internal/nettest"
)

// A /dev of its own, whose kvm is /dev/null's device with the owner, the group and the mode of a test.
const withDevice = `
set -e
mkdir "$1/dev" && mount -t tmpfs none "$1/dev"
for name in null zero urandom; do touch "$1/dev/$name"; mount --bind "/dev/$name" "$1/dev/$name"; done
mknod "$1/dev/kvm" c 1 3 && chown "$2" "$1/dev/kvm" && chmod "$3" "$1/dev/kvm"
mount --rbind "$1/dev" /dev
shift 3
exec "$@"`

const opensKVM = `
import os
try: os.open("/dev/kvm", os.O_RDWR); opens = True
except OSError: opens = False
print(os.getuid() > 0, os.getgroups(), opens)
`

// As distributions have it: everybody's, or a group's. Root's QEMU is another user.
func TestAnotherUserOpensKVMByItsGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root becomes another user")
	}
	for _, test := range []struct{ owner, mode, option, want string }{
		{"root:104", "660", "--kvm", "True [104] True"},
		{"root:104", "660", "--connects", "True [] False"}, // it does not use it
		{"root:104", "666", "--kvm", "True [] True"},
		{"root:104", "600", "--kvm", "True [] False"},
		{"root:root", "660", "--kvm", "True [] False"},
	} {
		launched := nettest.Itself("netstack", "launch", "--own-user", "--reads", "/proc", test.option,
			"--", "/usr/bin/python3", "-c", opensKVM)
		command := exec.Command("unshare", append([]string{"--mount", "--propagation", "private", "sh", "-c", withDevice,
			"sh", t.TempDir(), test.owner, test.mode}, launched.Args...)...)
		command.Env = launched.Env
		out, err := command.CombinedOutput()
		if got := string(out); err != nil || got != test.want+"\n" {
			t.Errorf("%s %s %s: got %s, %v, want %s", test.owner, test.mode, test.option, got, err, test.want)
		}
	}
}

package boot

import (
	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/session"
)

// Shutdown is the method "shutdown": it ends all commands and writes everything back, so that nothing
// of a writable mount is lost with the machine. The host sees the result, then ends the machine.
func Shutdown(*session.Call) (any, error) {
	unix.Kill(-1, unix.SIGKILL) // all but this process
	unix.Sync()
	return nil, nil
}

// PowerOff ends the machine. QEMU runs with -no-reboot, and a restart is an end that every machine
// knows, without ACPI.
func PowerOff() error {
	unix.Sync()
	return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

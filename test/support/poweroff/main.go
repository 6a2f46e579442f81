// Command poweroff is the whole of a bare guest: PID 1 that ends the machine it was booted on.
package main

import (
	"fmt"
	"os"
	"syscall"
)

func main() {
	// QEMU's -no-reboot makes it the end; the machine has nothing else to turn it off with.
	err := syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART)
	fmt.Fprintln(os.Stderr, "poweroff:", err)
	os.Exit(1)
}

package launch

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	x32Bit    = 0
)

var modeCalls = []modeCall{
	{number: unix.SYS_FCHMOD, mode: 1, changes: true},
	{number: unix.SYS_FCHMODAT, mode: 2, changes: true},
	{number: unix.SYS_FCHMODAT2, mode: 2, changes: true},
	{number: unix.SYS_OPENAT, mode: 3, flags: 2},
	{number: unix.SYS_MKNODAT, mode: 2, makesNodes: true},
}

var ownerCalls = []uint32{unix.SYS_FCHOWN, unix.SYS_FCHOWNAT}

// olderMetadataCalls are those that this architecture does not have.
var olderMetadataCalls []uint32

// olderWritingCalls are those that this architecture does not have.
var olderWritingCalls []uint32

package launch

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_X86_64
	// x32Bit marks the calls of the x32 convention.
	x32Bit = 0x40000000
)

var modeCalls = []modeCall{
	{number: unix.SYS_CHMOD, mode: 1, changes: true},
	{number: unix.SYS_FCHMOD, mode: 1, changes: true},
	{number: unix.SYS_FCHMODAT, mode: 2, changes: true},
	{number: unix.SYS_FCHMODAT2, mode: 2, changes: true},
	{number: unix.SYS_OPEN, mode: 2, flags: 1},
	{number: unix.SYS_OPENAT, mode: 3, flags: 2},
	{number: unix.SYS_CREAT, mode: 1},
	{number: unix.SYS_MKNOD, mode: 1, makesNodes: true},
	{number: unix.SYS_MKNODAT, mode: 2, makesNodes: true},
}

var ownerCalls = []uint32{unix.SYS_CHOWN, unix.SYS_FCHOWN, unix.SYS_LCHOWN, unix.SYS_FCHOWNAT}

// olderMetadataCalls are those that newer architectures do not have.
var olderMetadataCalls = []uint32{unix.SYS_CHMOD, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT}

// olderWritingCalls are those that newer architectures do not have: creat empties what is there.
var olderWritingCalls = []uint32{unix.SYS_CREAT}

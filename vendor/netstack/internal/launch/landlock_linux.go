package launch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// files are what a program may get at by its path, beyond what any program needs.
type files struct {
	reads, writes []string
	tree          bool // it changes what is below a directory
	readOnly      bool // it opens those for writing, and changes none
	kvm           bool // and shares what KVM shows of a processor
}

func hasDirectory(paths []string) bool {
	return slices.ContainsFunc(paths, func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.IsDir()
	})
}

// Where the programs, libraries and firmware of distributions are. Nothing of anybody's is below them.
var systemPlaces = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/gnu/store",
}

// What the dynamic loader and the libraries read at their start. Not all of /etc: root's QEMU may read
// everything.
var systemFiles = []string{
	"/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/etc/nsswitch.conf", "/etc/qemu",
	"/etc/gnutls", "/etc/crypto-policies", "/etc/gcrypt", "/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf",
	"/sys/devices/system", "/sys/kernel/mm", "/sys/module/kvm", "/sys/module/kvm_intel", "/sys/module/kvm_amd",
	"/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/dev/random", "/dev/urandom",
}

var systemDevices = []string{"/dev/null", "/dev/zero", kvmDevice}

// Rights on files, as Landlock's versions learnt to handle them.
const (
	firstRights = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1
	fileRights  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE |
		unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	reading = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	running = reading | unix.LANDLOCK_ACCESS_FS_EXECUTE
	device  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	// All but what no file system of a guest needs.
	writing = ^uint64(unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_MAKE_CHAR |
		unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV)
)

// noDomain is the answer of makeDomain where the kernel has no Landlock.
const noDomain = -1

// LandlockVersion is that of the kernel's interface, 0 where it has none.
func LandlockVersion() int {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(version)
}

// handled are the rights that the kernel can hold a domain to. Version 1 lets nobody rename from one
// directory to another, which mounts that a guest writes to cannot do without: there nothing is handled.
func handled(version int, writesTrees bool) (attributes unix.LandlockRulesetAttr, held bool) {
	if version < 1 || version == 1 && writesTrees {
		return attributes, false
	}
	attributes.Access_fs = firstRights
	if version >= 2 {
		attributes.Access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		attributes.Access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= 4 {
		attributes.Access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if version >= 5 {
		attributes.Access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if version >= 6 {
		attributes.Scoped = unix.LANDLOCK_SCOPE_SIGNAL | unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	}
	return attributes, true
}

// makeDomain makes the rules of a Landlock domain in which a program has the files that it needs and no
// others, also where its user has them. Whatever is inside a domain cannot look into, or write to, a
// process outside of it: not by ptrace, and not by /proc/PID/mem either.
func makeDomain(program string, f files) (ruleset int, err error) {
	attributes, held := handled(LandlockVersion(), f.tree)
	if !held {
		return noDomain, nil
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET,
		uintptr(unsafe.Pointer(&attributes)), unsafe.Sizeof(attributes), 0)
	if errno != 0 {
		return noDomain, fmt.Errorf("cannot make a Landlock domain: %w", errno)
	}
	ruleset = int(fd)
	programs := append(systemPlaces, program)
	if !isOfSystem(program) {
		programs = []string{"/"} // whatever its libraries are
	}
	changing := writing
	if f.readOnly {
		changing = reading | unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	}
	for _, rule := range []struct {
		paths  []string
		rights uint64
		must   bool
	}{
		{programs, running, false},
		{systemFiles, reading, false},
		{systemDevices, device, false},
		{f.reads, reading, true},
		{f.writes, changing, true},
	} {
		for _, path := range rule.paths {
			// What of the system is not there, or out of the caller's reach, the program does without.
			if err := allowBelow(ruleset, path, rule.rights&attributes.Access_fs); err != nil && rule.must {
				return noDomain, fmt.Errorf("cannot let the program have %s: %w", path, err)
			}
		}
	}
	return ruleset, nil
}

func isOfSystem(program string) bool {
	real, err := filepath.EvalSymlinks(program)
	for _, place := range systemPlaces {
		if err == nil && strings.HasPrefix(real, place+"/") {
			return true
		}
	}
	return false
}

func allowBelow(ruleset int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	below := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE,
		uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&below)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// enterDomain puts this thread, and what it executes, into a domain. It needs no_new_privs.
func enterDomain(ruleset int) error {
	if ruleset == noDomain {
		return nil
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0, 0); errno != 0 {
		return fmt.Errorf("cannot enter a Landlock domain: %w", errno)
	}
	return unix.Close(ruleset)
}

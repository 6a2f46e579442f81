package launch

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"sbx.dev/netstack/internal/nettest"
)

// A stand-in for a QEMU that has a template's memory open for writing. The answer of each is "can", or why
// not; what changed is seen in the file.
const writer = `
import ctypes, errno, fcntl, json, mmap, os, platform, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
path = sys.argv[1]
file = os.open(path, os.O_RDWR)
other = os.open(path, os.O_RDONLY)
answers = {}
def tell(what, do, *args):
    try: do(*args); answers[what] = "can"
    except OSError as e: answers[what] = errno.errorcode[e.errno]
def share(kind, size, at=0, rights=mmap.PROT_READ | mmap.PROT_WRITE):
    ctypes.set_errno(0)
    got = libc.mmap(None, size, rights, kind, file, at)
    if got == 2 ** 64 - 1: raise OSError(ctypes.get_errno(), "refused")
    if kind != mmap.MAP_PRIVATE and rights & mmap.PROT_WRITE: ctypes.memset(got, 0x77, 1)
    elif rights & mmap.PROT_WRITE:
        ctypes.memset(got, 0x77, size)
        return ctypes.string_at(got, size)
page = mmap.PAGESIZE
tell("write", os.write, file, b"x")
tell("pwrite", os.pwrite, file, b"x", 5 * page)
tell("pwritev", os.pwritev, file, [b"x"], 5 * page)
tell("sendfile", os.sendfile, file, other, 0, 10)
tell("copy_file_range", os.copy_file_range, other, file, 10, 0, 20)
read, write = os.pipe()
os.write(write, b"xxxx")
tell("splice", os.splice, read, file, 4)
tell("ftruncate", os.ftruncate, file, 0)
tell("truncate", os.truncate, path, 0)
tell("open, emptied", os.open, path, os.O_RDWR | os.O_TRUNC)
def call(number, *args):
    ctypes.set_errno(0)
    if libc.syscall(ctypes.c_long(number), *args) < 0: raise OSError(ctypes.get_errno(), "refused")
fallocate = 285 if platform.machine() == "x86_64" else 47
for mode in range(8): tell(f"own, as it seems: fallocate {mode}", call, fallocate, file, mode, ctypes.c_long(0), ctypes.c_long(8 * page))
if platform.machine() == "x86_64": tell("creat", call, 85, path.encode(), 0o600)
part = struct.pack("hhqqiI16x", os.SEEK_SET, 0, 8 * page, 8 * page, 0, 0)
for name, request in dict(reserve=40, punch=41, reserve64=42, punch64=43, zero=57).items():
    tell(f"ioctl {name}", fcntl.ioctl, file, 0x40305800 | request, part)
tell("ioctl clone", fcntl.ioctl, file, 0x40049409, other)
tell("ioctl flags", fcntl.ioctl, file, 0x40086602, struct.pack("l", 0x40))
tell("setxattrat", call, 463, -100, path.encode(), 0, b"user.a", struct.pack("QII", ctypes.addressof(ctypes.create_string_buffer(b"b")), 1, 0), 16)
tell("open, made", os.open, path + ".new", os.O_RDWR | os.O_CREAT)
tell("nameless", os.open, os.path.dirname(path), os.O_RDWR | os.O_TMPFILE)
tell("mode", os.fchmod, file, 0o777)
tell("times", os.utime, path, (0, 0))
tell("attribute", os.setxattr, path, "user.a", b"b")
for kind in (1, 3):
    tell(f"share {kind}", share, kind, 8 * page)
    tell(f"share {kind}, huge", share, kind, page | 1 << 32)
    tell(f"share {kind}, later", share, kind, page, 4 * page)
    tell(f"share {kind}, read", share, kind, 8 * page, 0, mmap.PROT_READ)
tell("share the beginning", share, 1, 3 * page)
small = libc.mmap(None, page, 3, 1, file, 0) if "kvm" in sys.argv else 0
libc.mremap.restype = ctypes.c_long
if small:
    if libc.mremap(ctypes.c_void_p(small), ctypes.c_size_t(page), ctypes.c_size_t(8 * page), 1) != -1: answers["share more"] = "can"
tell("own copy", share, mmap.MAP_PRIVATE, 8 * page)
tell("own memory", lambda: mmap.mmap(-1, 8 * page).write(b"x"))
tell("own pipe", os.write, write, b"x")
print(json.dumps(answers))
`

// What KVM needs to share is the beginning of a file, whatever the file.
func TestAReadOnlyProgramChangesNoFileThatItHasOpenForWriting(t *testing.T) {
	for name, kvm := range map[string]bool{"emulated": false, "by KVM": true} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "memory")
			before := bytes.Repeat([]byte{1}, 64<<12)
			if err := os.WriteFile(path, before, 0o600); err != nil {
				t.Fatal(err)
			}
			options := []string{"launch", "--writes", path, "--read-only"}
			program := []string{"--", "/usr/bin/python3", "-c", writer, path}
			if kvm {
				options, program = append(options, "--kvm"), append(program, "kvm")
			}
			out, err := nettest.Itself("netstack", append(options, program...)...).Output()
			for what, got := range answersOf(t, out, err) {
				can := what[:3] == "own" || kvm && what == "share the beginning"
				if can != (got == "can") {
					t.Errorf("%s: %s", what, got)
				}
			}
			after, err := os.ReadFile(path)
			if kvm {
				before[0] = 0x77
			}
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("it was changed: %v", err)
			}
		})
	}
}

package launch

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"sbx.dev/netstack/internal/nettest"
)

// launched runs a program by this binary as `netstack launch` and answers what it printed.
func launched(t *testing.T, dir string, argv ...string) string {
	t.Helper()
	options := []string{"launch", "--reads", "/proc"}
	if dir != "" {
		options = append(options, "--writes", dir)
	}
	command := nettest.Itself("netstack", append(options, argv...)...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("launch %v: %v\n%s", argv, err, out)
	}
	return string(out)
}

// What QEMU could be made to call, by its number, so that no C library stands between. The answer of
// each is its errno, 0 for success.
const calls = `
import ctypes, errno, json, os, platform, struct
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == "x86_64"
N = dict(openat=257, mknodat=259, fchmodat=268, fchmod=91, mkdirat=258) if x86 else dict(openat=56, mknodat=33, fchmodat=53, fchmod=52, mkdirat=34)
N |= dict(openat2=437, fchmodat2=452, io_uring_setup=425)
N |= dict(open=2, creat=85, chmod=90, mknod=133) if x86 else {}
N |= dict(open_by_handle_at=304 if x86 else 265)
def call(name, *args):
    wrapped = [a if isinstance(a, (bytes, ctypes.Array)) else ctypes.c_long(a) for a in args]
    ctypes.set_errno(0)
    fd = libc.syscall(ctypes.c_long(N[name]), *wrapped)
    if fd >= 0: return 0
    return ctypes.get_errno()
CREATE, AT = os.O_CREAT | os.O_WRONLY, -100
answers = {}
def tell(what, name, *args):
    if name in N: answers[what] = errno.errorcode.get(e := call(name, *args), e)
open("file", "w").close(); file = os.open("file", os.O_RDONLY)
os.chmod("file", 0o644)
os.mkdir("dir")
for bits in (0o4755, 0o2755, 0o6755, 0o104755, 0o42755, 0o102755):
    tell(f"chmod {bits:o}", "chmod", b"file", bits)
    tell(f"fchmod {bits:o}", "fchmod", file, bits)
    tell(f"fchmodat {bits:o}", "fchmodat", AT, b"file", bits, 0)
    tell(f"fchmodat2 {bits:o}", "fchmodat2", AT, b"file", bits, 0x100)
    # The upper half of a register is no part of a mode.
    tell(f"fchmod {bits:o} wide", "fchmod", file, bits | 1 << 32)
    tell(f"open {bits:o}", "open", b"o%o" % bits, CREATE, bits)
    tell(f"openat {bits:o}", "openat", AT, b"oa%o" % bits, CREATE, bits)
    tell(f"tmpfile {bits:o}", "openat", AT, b".", os.O_TMPFILE | os.O_WRONLY, bits)
    tell(f"creat {bits:o}", "creat", b"c%o" % bits, bits)
    tell(f"mknod {bits:o}", "mknod", b"n%o" % bits, bits, 0)
    tell(f"mknodat {bits:o}", "mknodat", AT, b"na%o" % bits, bits, 0)
    tell(f"mkdirat {bits:o}", "mkdirat", AT, b"d%o" % bits, bits)
for kind in (0o20000, 0o60000):
    tell(f"mknod {kind:o}", "mknod", b"k%o" % kind, kind | 0o666, 0)
    tell(f"mknodat {kind:o}", "mknodat", AT, b"ka%o" % kind, kind | 0o666, 0)
tell("openat2", "openat2", AT, b"o2", struct.pack("QQQ", CREATE, 0o4755, 0), 24)
tell("io_uring_setup", "io_uring_setup", 1, ctypes.create_string_buffer(256))
tell("open_by_handle_at", "open_by_handle_at", AT, ctypes.create_string_buffer(64), 0)
tell("plain openat", "openat", AT, b"file", os.O_RDONLY, 0o6777)
tell("plain create", "openat", AT, b"plain", CREATE, 0o755)
tell("plain chmod", "fchmodat", AT, b"plain", 0o1700, 0)
tell("plain fchmod", "fchmod", file, 0o100600)
tell("plain mkdir", "mkdirat", AT, b"plain.d", 0o755)
tell("plain fifo", "mknodat", AT, b"fifo", 0o10600, 0)
tell("plain file", "mknodat", AT, b"made", 0o100600, 0)
print(json.dumps(answers))
`

func TestWhatIsLaunchedMakesNoSetuidFilesAndNoDevices(t *testing.T) {
	directory := t.TempDir()
	var answers map[string]any
	text := launched(t, directory, "--", "/usr/bin/python3", "-c", calls)
	if err := json.Unmarshal([]byte(text), &answers); err != nil {
		t.Fatal(err, text)
	}
	for what, got := range answers {
		want := any("EPERM")
		switch {
		case strings.HasPrefix(what, "plain"), strings.HasPrefix(what, "mkdirat"):
			want = float64(0)
		case strings.Contains(what, "chmod") && strings.Contains(what, " 2755"):
			want = float64(0) // and nothing done
		case what == "openat2", what == "io_uring_setup", what == "open_by_handle_at":
			want = "ENOSYS"
		}
		if got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	if len(answers) < 60 {
		t.Errorf("only %d answers", len(answers))
	}
	err := filepath.WalkDir(directory, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err == nil && info.Mode()&(os.ModeSetuid|os.ModeSetgid|os.ModeDevice) != 0 {
			t.Errorf("%s is %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDirectoriesInsideASetgidDirectoryKeepItsGroup(t *testing.T) {
	directory := t.TempDir()
	if err := os.Chmod(directory, 0o775|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	// As QEMU does for a guest's mkdir there.
	launched(t, directory, "--", "/usr/bin/python3", "-c", "import os; os.mkdir('d', 0o2750); os.chmod('d', 0o2750)")
	info, err := os.Stat(filepath.Join(directory, "d"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != os.ModeDir|os.ModeSetgid|0o750 {
		t.Errorf("it is %v", info.Mode())
	}
}

func statusOf(t *testing.T, argv ...string) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for line := range strings.Lines(launched(t, "", append(argv, "--", "cat", "/proc/self/status")...)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	return fields
}

func TestWhatIsLaunchedHasTheCapabilitiesThatAreNamedAndNoOther(t *testing.T) {
	const none, files = "0000000000000000", "000000000000000b"
	if os.Getuid() != 0 {
		t.Skip("only root has any")
	}
	for _, test := range []struct {
		argv []string
		want string
	}{
		{nil, none},
		{[]string{"--capabilities", "chown,dac_override,fowner"}, files},
		{[]string{"--capabilities", "dac_read_search"}, "0000000000000004"},
		{[]string{"--uid", "65534", "--gid", "65534", "--capabilities", "chown"}, none},
	} {
		status := statusOf(t, test.argv...)
		for _, set := range []string{"CapPrm", "CapEff"} {
			if status[set] != test.want {
				t.Errorf("%v: %s is %s", test.argv, set, status[set])
			}
		}
		if status["CapInh"] != none || status["CapAmb"] != none || status["NoNewPrivs"] != "1" || status["Seccomp"] != "2" {
			t.Errorf("%v: %v", test.argv, status)
		}
	}
	command := nettest.Itself("netstack", "launch", "--capabilities", "setfcap", "--", "true")
	if out, err := command.CombinedOutput(); err == nil || !strings.Contains(string(out), "setfcap") {
		t.Errorf("a capability that must not be kept: %v %s", err, out)
	}
}

func TestASetuidFileLosesItsBitWhenRootsQEMUWritesToIt(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root could keep it")
	}
	path := filepath.Join(t.TempDir(), "setuid")
	if err := os.WriteFile(path, []byte("x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Chmod(path, 0o4755); err != nil {
		t.Fatal(err)
	}
	script := "open(__import__('sys').argv[1], 'r+b').write(b'y')"
	launched(t, filepath.Dir(path), "--capabilities", "chown,dac_override,fowner", "--", "/usr/bin/python3", "-c", script, path)
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	if stat.Mode&specialBits != 0 {
		t.Errorf("its mode is still %o", stat.Mode)
	}
}

func TestChangesOfOwnersAreIgnoredWithoutThePowerToMakeThem(t *testing.T) {
	directory := t.TempDir()
	const script = `
import os
open('f', 'w').close()
f = os.open('f', os.O_RDONLY)
before = os.stat(f)
os.chown('f', 1234, 1234); os.fchown(f, 1234, 1234); os.lchown('f', 1234, 1234)
after = os.stat(f)
print(before.st_uid == after.st_uid and before.st_gid == after.st_gid)
`
	if got := strings.TrimSpace(launched(t, directory, "--", "/usr/bin/python3", "-c", script)); got != "True" {
		t.Errorf("got %s", got)
	}
	if os.Getuid() != 0 {
		return
	}
	if got := strings.TrimSpace(launched(t, directory, "--capabilities", "chown", "--", "/usr/bin/python3", "-c", script)); got != "False" {
		t.Errorf("with the capability: got %s", got)
	}
}

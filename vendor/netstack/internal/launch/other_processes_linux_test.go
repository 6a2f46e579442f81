package launch

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sbx.dev/netstack/internal/nettest"
)

// A stand-in for QEMU whose guest is another one: it says where a word of its memory is, and goes on as
// long as nobody changed that.
const victim = `
import ctypes, os, sys
word = ctypes.create_string_buffer(b"untouched")
print(os.getpid(), ctypes.addressof(word), flush=True)
sys.stdin.read()
print(word.value.decode(), flush=True)
`

// A stand-in for a QEMU that its guest has taken over: what it can do to a process, and to itself. The
// answer of each is "can", or why not.
const attacker = `
import ctypes, errno, json, os, platform, resource, signal, socket, struct, sys, threading
pid, address = int(sys.argv[1]), int(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == "x86_64"
N = dict(ptrace=101, process_vm_readv=310, process_vm_writev=311, kcmp=312, tkill=200, shmget=29, keyctl=250,
    perf_event_open=298, execveat=322, unshare=272, setns=308, sched_setattr=314,
    ioprio_set=251) if x86 else dict(ptrace=117, process_vm_readv=270, process_vm_writev=271, kcmp=272,
    tkill=130, shmget=194, keyctl=219, perf_event_open=241, execveat=281, unshare=97, setns=268, sched_setattr=274,
    ioprio_set=30)
N |= dict(pidfd_open=434, pidfd_getfd=438, pidfd_send_signal=424)
def call(name, *args):
    ctypes.set_errno(0)
    got = libc.syscall(ctypes.c_long(N[name]), *[a if isinstance(a, ctypes.Array) else ctypes.c_long(a) for a in args])
    if got < 0: raise OSError(ctypes.get_errno(), name)
    return got
def asked(name, *args): # whatever the kernel answers: only a filter says EPERM to such arguments
    try: call(name, *args)
    except OSError as e:
        if e.errno == errno.EPERM: raise
answers = {}
def tell(what, do, *args):
    try: do(*args); answers[what] = "can"
    except OSError as e: answers[what] = errno.errorcode[e.errno]
def at(path, flags, *data):
    f = os.open(path, flags)
    if data: os.pwrite(f, data[0], address)
    else: os.pread(f, 1, address if path.endswith("mem") else 0)
local = ctypes.create_string_buffer(b"taken over")
vector = lambda a: ctypes.create_string_buffer(struct.pack("LL", a, 10))
def attach():
    call("ptrace", 16, pid, 0, 0)
    os.waitpid(pid, 0)
    call("ptrace", 17, pid, 0, 0)
for name in ("mem", "environ", "maps", "auxv", "stack"):
    tell(f"read {name}", at, f"/proc/{pid}/{name}", os.O_RDONLY)
tell("write mem", at, f"/proc/{pid}/mem", os.O_RDWR, b"taken over")
tell("its files", os.readlink, f"/proc/{pid}/fd/0")
tell("open its files", os.open, f"/proc/{pid}/fd/0", os.O_RDONLY)
tell("its root", os.readlink, f"/proc/{pid}/root")
tell("write oom_score_adj", lambda: open(f"/proc/{pid}/oom_score_adj", "w").write("1000"))
tell("attach", attach)
tell("process_vm_readv", call, "process_vm_readv", pid, vector(ctypes.addressof(local)), 1, vector(address), 1, 0)
tell("process_vm_writev", call, "process_vm_writev", pid, vector(ctypes.addressof(local)), 1, vector(address), 1, 0)
tell("kcmp", call, "kcmp", os.getpid(), pid, 1, 0, 0)
tell("pidfd_open", call, "pidfd_open", pid, 0)
nothing = os.memfd_create("nothing")
empty = ctypes.create_string_buffer(b"")
tell("execute memory", asked, "execveat", nothing, empty, 0, 0, 0x1000)
tell("namespace", asked, "unshare", 0x200)
tell("its namespace", asked, "setns", -1, 0)
tell("its schedule", asked, "sched_setattr", pid, 0, 0)
tell("its files' priority", asked, "ioprio_set", 1, pid, 0xffff)
tell("signal 0", os.kill, pid, 0)
tell("signal", os.kill, pid, signal.SIGCONT)
tell("signal a thread", call, "tkill", pid, signal.SIGCONT)
tell("signal all", os.kill, -1, 0)
tell("signal the group", os.kill, 0, 0)
tell("limits", resource.prlimit, pid, resource.RLIMIT_NOFILE, (64, 64))
tell("shared memory", call, "shmget", 0, 4096, 0o1600)
tell("keys", call, "keyctl", 0, -4, 0)
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):
    tell(f"socket {family.name}", socket.socket, family, socket.SOCK_DGRAM)
for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
    tell(f"pair {kind.name}", socket.socketpair, socket.AF_UNIX, kind)
def reconnect():
    a, b = socket.socketpair()
    a.connect("/run/none")
def listen():
    a, b = socket.socketpair()
    a.bind("\0sbx-test")
tell("connect", reconnect)
tell("bind", listen)
tell("own signal", os.kill, os.getpid(), 0)
tell("own thread", lambda: signal.pthread_kill(threading.get_ident(), 0))
tell("own limits", resource.getrlimit, resource.RLIMIT_NOFILE)
tell("own device", at, "/dev/null", os.O_RDWR)
tell("own pair", socket.socketpair)
print(json.dumps(answers))
`

type launchedProcess struct {
	command      *exec.Cmd
	stdin        interface{ Close() error }
	out          *bufio.Reader
	pid, address string
}

func startVictim(t *testing.T, options ...string) *launchedProcess {
	t.Helper()
	argv := append(append([]string{"launch"}, options...), "--", "/usr/bin/python3", "-c", victim)
	command := nettest.Itself("netstack", argv...)
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	v := &launchedProcess{command: command, stdin: stdin, out: bufio.NewReader(stdout)}
	line, err := v.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(line)
	v.pid, v.address = fields[0], fields[1]
	return v
}

// end answers what the process has in its memory.
func (v *launchedProcess) end(t *testing.T) string {
	t.Helper()
	v.stdin.Close()
	word, err := v.out.ReadString('\n')
	if err != nil {
		t.Error("it did not live on:", err)
	}
	if err := v.command.Wait(); err != nil {
		t.Error("it did not live on:", err)
	}
	return word[:max(len(word)-1, 0)]
}

func answersOf(t *testing.T, out []byte, err error) map[string]string {
	t.Helper()
	var answers map[string]string
	if err != nil || json.Unmarshal(out, &answers) != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return answers
}

// A machine that has taken its QEMU over is no nearer to the others, whatever user all of them are.
func TestWhatIsLaunchedReachesNoOtherThatIs(t *testing.T) {
	if LandlockVersion() < 2 {
		t.Skip("the kernel has no Landlock that holds for a program with a tree to write to")
	}
	for name, identity := range map[string][]string{
		"a user's, and root's that serves its files": nil,
		"root's":                             {"--own-user"},
		"root's, where there is only nobody": {"--uid", "65534", "--gid", "65534"},
	} {
		if os.Getuid() != 0 && identity != nil {
			continue
		}
		for files, rules := range map[string][]string{"its own files": {"--reads", "/proc"}, "all files": {"--writes", "/"}} {
			t.Run(name+", "+files, func(t *testing.T) {
				v := startVictim(t, identity...)
				options := append(append([]string{"launch"}, identity...), rules...)
				command := nettest.Itself("netstack", append(options, "--", "/usr/bin/python3", "-c", attacker, v.pid, v.address)...)
				out, err := command.Output()
				for what, got := range answersOf(t, out, err) {
					if what == "write oom_score_adj" && files == "all files" {
						continue // a file like others
					}
					if own := what[:3] == "own"; own != (got == "can") {
						t.Errorf("%s: %s", what, got)
					}
				}
				if word := v.end(t); word != "untouched" {
					t.Errorf("its memory has %q", word)
				}
			})
		}
	}
}

// What the refusals are worth: a process of the same user that was not launched can do all of it.
func TestAProcessOfTheSameUserThatIsNotLaunchedReachesIt(t *testing.T) {
	var identity []string
	if os.Getuid() == 0 {
		identity = []string{"--own-user"}
	}
	v := startVictim(t, identity...)
	command := exec.Command("/usr/bin/python3", "-c", attacker, v.pid, v.address)
	if os.Getuid() == 0 {
		pid, _ := strconv.Atoi(v.pid)
		id := uint32(ownUser(pid))
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	}
	out, err := command.Output()
	answers := answersOf(t, out, err)
	for _, what := range []string{"write mem", "read environ", "attach", "process_vm_writev", "signal", "limits", "socket AF_INET",
		"execute memory", "namespace", "its namespace", "its schedule", "its files' priority"} {
		if answers[what] != "can" {
			t.Errorf("%s: %s", what, answers[what])
		}
	}
	if word := v.end(t); word != "taken over" {
		t.Errorf("its memory has %q", word)
	}
}

func TestTwoThatRunHaveUsersOfTheirOwn(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make another user")
	}
	users := map[uint32]bool{}
	for range 2 {
		v := startVictim(t, "--own-user")
		defer v.end(t)
		info, err := os.Stat("/proc/" + v.pid)
		if err != nil {
			t.Fatal(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		users[stat.Uid] = true
		if stat.Uid < firstOwnUser || stat.Uid != stat.Gid {
			t.Errorf("user %d, group %d", stat.Uid, stat.Gid)
		}
	}
	if len(users) != 2 {
		t.Errorf("users %v", users)
	}
}

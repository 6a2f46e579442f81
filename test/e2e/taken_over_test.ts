/**
 * What a guest that has broken out into its QEMU finds there: a program in QEMU's place, which sbx starts as
 * it starts QEMU, tries to get at the machine of another sandbox of the same caller, and at the caller's files.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { qemuProgram } from "../../lib/guest/qemu/args.ts";
import { ownArchitecture } from "../../lib/guest/qemu/machine.ts";
import { ordinaryUser } from "../support/ordinary_user.ts";
import { run } from "../support/process.ts";
import { SBX } from "../support/world.ts";

const place = mkdtempSync(join(tmpdir(), "sbx-taken-over-"));
chmodSync(place, 0o755);
afterAll(() => rmSync(place, { recursive: true, force: true }));
const binary = join(place, "sbx");
copyFileSync(SBX, binary);

/** Says on standard error, which sbx repeats, what it could do, by numbers of the steps. */
const QEMU = `#!/usr/bin/python3
import ctypes, os, signal, socket, struct, sys
if "virtio-serial-pci" not in sys.argv: sys.exit(1) # sbx asks what runs guests here
here = os.path.dirname(os.path.realpath(__file__))
pid, address = map(int, open(here + "/victim").read().split())
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    if libc.syscall(*[a if isinstance(a, ctypes.Array) else ctypes.c_long(a) for a in (number, *args)]) < 0:
        raise OSError(ctypes.get_errno(), "refused")
def at(path, flags):
    f = os.open(path, flags)
    if flags == os.O_RDWR: os.pwrite(f, b"taken", address)
    else: os.read(f, 1)
word = ctypes.create_string_buffer(b"taken over")
vector = lambda to: ctypes.create_string_buffer(struct.pack("LL", to, 5))
did = []
def attempt(what, do, *args):
    try: do(*args); did.append(what)
    except OSError: pass
attempt("reads-memory", at, f"/proc/{pid}/mem", os.O_RDONLY)
attempt("writes-memory", at, f"/proc/{pid}/mem", os.O_RDWR)
attempt("reads-environ", at, f"/proc/{pid}/environ", os.O_RDONLY)
attempt("sees-its-files", os.readlink, f"/proc/{pid}/fd/0")
attempt("signals", os.kill, pid, signal.SIGCONT)
ptrace, process_vm_writev = {"x86_64": (101, 311), "aarch64": (117, 271)}[os.uname().machine]
attempt("attaches", call, ptrace, 16, pid, 0, 0)
attempt("vm-writev", call, process_vm_writev, pid, vector(ctypes.addressof(word)), 1, vector(address), 1, 0)
attempt("opens-a-socket", socket.socket, socket.AF_INET)
attempt("asks-a-daemon", socket.socket, socket.AF_UNIX)
attempt("writes-to-a-daemon", socket.socketpair, socket.AF_UNIX, socket.SOCK_DGRAM)
attempt("leaves-a-file", lambda: open(here + "/left", "w"))
attempt("signals-itself", os.kill, os.getpid(), 0)
print("could:", *did, file=sys.stderr)
`;

const PROGRAM = qemuProgram(ownArchitecture());

const USER = 64_998;

const CALLERS: readonly (readonly [string, readonly string[], number])[] = [
  ["root", [], 0],
  ["an ordinary user", ordinaryUser(USER), USER],
];

/** The machine of a running sbx, once there is one. */
async function machineOf(parent: ChildProcess): Promise<number> {
  for (;;) {
    for (const entry of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
      try {
        const status = readFileSync(`/proc/${entry}/status`, "utf8");
        if (!status.includes(`\nPPid:\t${parent.pid}\n`)) continue;
        // It starts QEMU before, to see what runs guests here.
        const argv = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
        if (argv[0]?.includes("qemu") && argv.includes("virtio-serial-pci")) return Number(entry);
      } catch {
        // it is gone
      }
    }
    if (parent.exitCode !== null) throw new Error("it ended");
    await delay(50);
  }
}

/** Where some of its memory is that can be written to. */
function addressIn(pid: number): number {
  const [, start = ""] = /^([0-9a-f]+)-[0-9a-f]+ rw-p/m.exec(
    readFileSync(`/proc/${pid}/maps`, "utf8"),
  ) ?? [];
  return Number.parseInt(start, 16);
}

describe.each(CALLERS)("called by %s", (name, prefix, owner) => {
  const own = join(place, name);
  const fake = join(own, "bin");
  mkdirSync(fake, { recursive: true });
  writeFileSync(join(fake, PROGRAM), QEMU, { mode: 0o755 });
  const environment: Record<string, string> = { HOME: own };
  for (const part of ["CACHE", "DATA", "STATE"]) {
    environment[`XDG_${part}_HOME`] = join(own, part);
  }
  for (const path of [own, fake]) chownSync(path, owner, owner);
  const [command = "", ...options] = [...prefix, binary, "run", "-q", "--no-net", "--no-template"];

  test("a QEMU that is taken over gets at no other, and at no file but its own", async () => {
    const sbx = spawn(command, [...options, "--", "sleep", "600"], {
      env: { ...process.env, ...environment },
      stdio: "ignore",
    });
    try {
      const pid = await machineOf(sbx);
      if (owner === 0) expect(statSync(`/proc/${pid}`).uid).toBe(0x7000_0000 + pid);
      writeFileSync(join(fake, "victim"), `${pid} ${addressIn(pid)}`);
      const { stderr } = await run([command, ...options, "--", "true"], {
        limit: 900, // where sbx is emulated as well
        env: { ...environment, PATH: `${fake}:${process.env["PATH"]}` },
      });
      expect(stderr).toContain("could: signals-itself");
      expect(readdirSync(fake).sort()).toEqual([PROGRAM, "victim"]);
      expect(statSync(`/proc/${pid}`).isDirectory()).toBe(true);
    } finally {
      sbx.kill("SIGTERM");
      await new Promise((resolve) => sbx.once("exit", resolve));
    }
  });
});

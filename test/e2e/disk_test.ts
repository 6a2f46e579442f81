/**
 * A disk for what the guest writes: larger than its memory, given back, gone with the guest or kept for the next
 * one, whatever the guest did to it.
 */
import { afterAll, beforeEach, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { NetworkPolicy, Sandbox, type SandboxBuilder, SbxError, Templates } from "../../lib/mod.ts";
import { run, start, until } from "../support/process.ts";
import { SBX } from "../support/world.ts";

const MIB = 1024 ** 2;

const place = mkdtempSync(join(tmpdir(), "sbx-disk-"));
chmodSync(place, 0o755);
afterAll(() => rmSync(place, { recursive: true, force: true }));

let number = 0;
let state = "";
beforeEach(() => {
  state = join(place, String(number++));
  mkdirSync(state);
});

/** A descriptor of QEMU's whose file has this name. */
function heldByQemu(name: RegExp): { readonly pid: number; readonly file: string } | undefined {
  for (const pid of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      if (!readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("qemu-system")) continue;
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        const file = `/proc/${pid}/fd/${fd}`;
        if (name.test(readlinkSync(file))) return { pid: Number(pid), file };
      }
    } catch {
      // it ended meanwhile
    }
  }
  return undefined;
}

/** What a file takes up on this machine. */
const taken = (file: string) => statSync(file).blocks * 512;

/** A tree as package managers make them, of three times the guest's memory. */
const FILL = `
import os, shutil, sys
block = os.urandom(131072)
for i in range(3000):
    directory = f"/root/tree/{i % 300}/lib"
    os.makedirs(directory, exist_ok=True)
    with open(f"{directory}/{i}", "wb") as file: file.write(block)
os.sync()
print("full", flush=True)
sys.stdin.readline()
good = sum(open(f"/root/tree/{i % 300}/lib/{i}", "rb").read() == block for i in range(0, 3000, 100))
shutil.rmtree("/root/tree")
os.sync()
print(good, flush=True)
sys.stdin.readline()
`;

test(
  "a tree larger than the guest's memory goes to a file without a name, and is given back",
  async () => {
    const running = start(
      [SBX, "run", "-q", "--no-net", "-m", "192M", "--disk", "2G", "--", "python3", "-c", FILL],
      { env: { XDG_STATE_HOME: state }, limit: 600 },
    );
    await until("a full disk", () => running.stdout().includes("full\n"), 300);
    const disk = heldByQemu(new RegExp(`^${state}/sbx/.* \\(deleted\\)$`))?.file ?? "";
    expect(taken(disk)).toBeGreaterThan(3000 * 128 * 1024);
    expect(readdirSync(join(state, "sbx"))).toEqual([]);
    running.child.stdin?.write("\n");
    await until("what was read", () => running.stdout().includes("30\n"), 300);
    await until("the room", () => taken(disk) < 100 * MIB, 120);
    running.child.stdin?.end("\n");
    expect(await running.ended).toMatchObject({ status: 0, stderr: "" });
    expect(readdirSync(state, { recursive: true })).toEqual(["sbx"]);
    expect(statSync(join(state, "sbx")).mode & 0o777).toBe(0o700);
  },
  900_000,
);

test("when this machine has no room left, the guest sees an error and goes on", async () => {
  const line = "dd if=/dev/urandom of=/root/much bs=1M count=100 conv=fsync 2>&1; echo then";
  const { status, stdout, stderr } = await run([
    "unshare",
    ...(process.getuid?.() === 0 ? ["-m"] : ["-Urm"]),
    "sh",
    "-c",
    'mount -t tmpfs -o size=48M none "$0" && exec "$@"',
    state,
    ...[SBX, "run", "-q", "--no-net", "--disk", "1G", "--", "sh", "-c", line],
  ], { env: { XDG_STATE_HOME: state } });
  expect(stdout).toMatch(/(Input\/output error|No space left on device|Read-only file system)/);
  expect(stdout).toEndWith("then\n");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

const kept = () => join(state, "kept.disk");

const box = (name: string, size = "1G"): SandboxBuilder =>
  Sandbox.builder().name(name).network((network) => network.policy(NetworkPolicy.none()))
    .disk(size, { path: kept() });

async function says(sandbox: Sandbox, line: string): Promise<string> {
  const { stdout, stderr } = await sandbox.exec("sh", ["-c", line]).output();
  expect(stderr).toBe("");
  return stdout;
}

async function failure(builder: SandboxBuilder): Promise<SbxError> {
  const error = await builder.create().then((sandbox) => sandbox.stop(), (error) => error);
  expect(error).toBeInstanceOf(SbxError);
  return error;
}

/** Has of a file what a QEMU that writes to it has (F_OFD_SETLK), until it is killed. */
const HOLD = `
import fcntl, struct, sys, time
file = open(sys.argv[1], "r+b")
for byte in (101, 201): fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, byte, 1, 0))
print("held", flush=True)
time.sleep(1000)
`;

test(
  "a disk that another one has is no fault of a template, and no guest boots for it",
  async () => {
    await Templates.build({ network: false, root: false });
    const templates = async () => (await Templates.list()).map(({ key }) => key).sort();
    await (await box("made").create()).stop();
    const before = await templates();
    const holder = start(["python3", "-c", HOLD, kept()], { limit: 300 });
    await until("the lock", () => holder.stdout() === "held\n");
    const failing = failure(box("other"));
    const isTried = () => heldByQemu(new RegExp(`^${kept()}$`)) !== undefined;
    await until("a machine with the disk", isTried);
    await until("its end", () => !isTried());
    holder.kill("SIGKILL"); // so that whoever tries again gets it
    expect((await failing).code).toBe("DISK_BUSY");
    expect(await templates()).toEqual(before);
    await holder.ended;
  },
  400_000,
);

test("a kept disk has what the guest wrote, and what sbx gives anew, whatever was planted there", async () => {
  {
    // Its connections are opened, by an authority that its next lives have nothing of.
    await using first = await box("first")
      .network((network) =>
        network.policy(NetworkPolicy.publicOnly()).tls((tls) => tls.intercept())
      )
      .create();
    await says(
      first,
      `set -e
      printf '#!/bin/sh\\necho tool\\n' >/usr/local/bin/tool; chmod 755 /usr/local/bin/tool
      echo 'joe:x:1000:1000::/home/joe:/bin/sh' >>/etc/passwd
      mkdir /home/joe; echo own >/home/joe/file; echo gone >/run/file; echo mine >/var/lib/mine
      mkdir /root/victims; echo untouched >/root/victims/hostname
      ln -sf /root/victims/hostname /etc/hostname
      rm -r /etc/ssl; ln -s /root/victims /etc/ssl
      echo own >/etc/firefox/policies/policies.json
      rm -r /tmp /srv /var/run; ln -s / /tmp; ln -s /proc/self/root /srv; echo in the way >/var/run`,
    );
    const other = await failure(box("other"));
    expect([other.code, other.message])
      .toEqual(["DISK_BUSY", "Cannot start the guest: another one has its disk"]);
    expect(await says(first, "tool")).toBe("tool\n");
  }
  // Another size, and an end without any warning.
  {
    await using second = await box("second", "2G").create();
    const answers = await says(
      second,
      `hostname; cat /etc/hostname; tool; cat /home/joe/file /var/lib/mine; id -un joe; ls /run
      find /etc /usr/local /root/.pki -name 'sbx*' -o -name '*.db' -path '*/nssdb/*'
      cat /etc/firefox/policies/policies.json; find /root/victims; cat /root/victims/hostname; readlink /var/run
      stat -c %F /etc/ssl /etc/hostname /tmp /srv; test -s /etc/ssl/certs/ca-certificates.crt && echo trust
      test $(df -B1M --output=size / | tail -n 1) -gt 1900 && echo large
      echo synced >/root/synced; sync; echo kill >/root/late`,
    );
    expect(answers).toBe(
      "second\nsecond\ntool\nown\nmine\njoe\nlock\nown\n" +
        "/root/victims\n/root/victims/hostname\nuntouched\n/run\n" +
        "directory\nregular file\ndirectory\ndirectory\ntrust\nlarge\n",
    );
    const { pid = 0 } = heldByQemu(new RegExp(`^${kept()}$`)) ?? {};
    process.kill(pid, "SIGKILL");
    expect((await second.ended)?.code).toBe("GUEST_LOST");
  }
  expect(readdirSync(state)).toEqual(["kept.disk"]);
  {
    await using third = await box("third", "2G").create();
    expect(await says(third, "cat /root/synced; dmesg | grep -c 'EXT4.*recovery complete'"))
      .toBe("synced\n1\n");
  }
  execFileSync("dd", [
    "if=/dev/urandom",
    `of=${kept()}`,
    "bs=1k",
    "seek=1",
    "count=1",
    "conv=notrunc",
  ], {
    stdio: "ignore",
  });
  const damaged = await failure(box("fourth", "2G"));
  expect([damaged.code, damaged.hint]).toEqual(["GUEST_START", "begin with a new disk"]);
  expect(damaged.message).toContain("the file system of its disk is damaged");
});

test("a file that is no disk of ours alone is refused before a guest boots, and left as it is", async () => {
  const path = kept();
  const put = () => writeFileSync(path, "mine", { mode: 0o600 });
  const cases: readonly (readonly [string, () => void])[] = [
    ["others can get at it", () => (put(), chmodSync(path, 0o644))],
    ["the file has other names, too", () => (put(), linkSync(path, `${path}.name`))],
    ["too many symbolic links", () => symlinkSync("/etc/hostname", path)],
    ["it is not a regular file", () => execFileSync("mkfifo", ["-m", "600", path])],
    [
      "a disk can be made larger",
      () => execFileSync("sh", ["-c", `umask 77; truncate -s 3G ${path}`]),
    ],
  ];
  for (const [words, prepare] of cases) {
    rmSync(path, { force: true });
    prepare();
    const { code, message, hint } = await failure(box("box", "2G"));
    expect([code, `${message} ${hint}`]).toEqual([
      "FILE_UNREADABLE",
      expect.stringContaining(words),
    ]);
  }
  rmSync(path);
  const mount = box("box").mount(state, "/work");
  expect((await failure(mount)).message).toContain("it is inside a writable mount");
  expect(readdirSync(state)).toEqual(["kept.disk.name"]);
});

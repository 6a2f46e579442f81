/**
 * Machines that were saved with their memory: they go on as others, and boot where something that they depend on is
 * another. It takes a QEMU and a virtiofsd that can save one: scripts/test-debian13 runs it.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { PUBLIC, PUBLIC_2 } from "../support/places.ts";
import { run, type RunOptions, until } from "../support/process.ts";
import { openWorld, ROOT, SBX, type World } from "../support/world.ts";

/** Emulated guests on a machine that does other things as well. */
const PATIENCE = 900;

const place = mkdtempSync(join(tmpdir(), "sbx-saved-machines-"));
let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
  rmSync(place, { recursive: true, force: true });
});

const env = { XDG_CACHE_HOME: join(place, "cache") };

function sbx(args: readonly string[], options: RunOptions = {}) {
  return world.sbx(args, { limit: PATIENCE, env, ...options });
}

/** Goes on counting, in no file but the one that it writes to, and waits for bytes of a server that sends none. */
const BACKGROUND = `
import os, socket, sys, threading, time
def wait():
    flow = socket.create_connection((sys.argv[1], 7), 60)
    flow.settimeout(None)
    open("/root/open", "w").close()
    try: end = "data" if flow.recv(1) else "end"
    except OSError as error: end = type(error).__name__
    with open("/root/flow.new", "w") as file: file.write(end)
    os.rename("/root/flow.new", "/root/flow")
threading.Thread(target=wait).start()
number = 0
while True:
    number += 1
    with open("/root/count.new", "w") as file: file.write(str(number))
    os.rename("/root/count.new", "/root/count")
    time.sleep(0.2)
`;

test("a guest that can be saved goes on in a snapshot and a fork, as another machine", async () => {
  const own = { env: { ...env, XDG_STATE_HOME: join(place, "saved"), XDG_RUNTIME_DIR: place } };
  const named = (...args: string[]) => sbx(args, own);
  const done = async (...args: string[]) => {
    const { status, stdout, stderr } = await named(...args);
    expect({ args, status, stderr }).toMatchObject({ args, status: 0 });
    return { stdout: stdout.trim(), stderr };
  };
  const inside = async (name: string, line: string) =>
    (await done("exec", name, "--", "sh", "-c", line)).stdout;
  const identity = "cat /proc/sys/kernel/random/boot_id /etc/machine-id; hostname; " +
    "head -c 16 /dev/urandom | od -An -tx1";
  const machine = ["--savable", "-m", "384M", "--disk", "512M"];
  const policy = ["--policy", "none", "--deny-with", "reject"];
  await done("create", "-q", "-n", "dev", ...machine, ...policy, "--allow", PUBLIC);
  try {
    await done("start", "dev");
    const background = `setsid python3 -c '${BACKGROUND}' ${PUBLIC} </dev/null >/dev/null 2>&1 &`;
    await inside(
      "dev",
      `${background} until test -e /root/open && test -e /root/count; do sleep 0.2; done`,
    );
    await inside(
      "dev",
      "echo key > /etc/ssh_host_test; mkdir -p /etc/ssh; echo > /etc/ssh/ssh_host_rsa_key",
    );
    // A job is one that somebody may want to hear from.
    await done("exec", "-d", "dev", "--", "sleep", "1d");
    const refused = await named("snapshot", "--memory", "dev", "busy");
    expect(refused).toMatchObject({ status: 125, stderr: expect.stringContaining("under way") });
    await inside("dev", "pkill -x sleep");
    const [boot, ...self] = (await inside("dev", identity)).split("\n");
    const counted = Number(await inside("dev", "cat /root/count"));
    expect((await done("snapshot", "--memory", "dev", "built")).stdout).toBe("built");
    // The original goes on, and its connection with it.
    expect(await inside("dev", "test -e /root/flow || echo open")).toBe("open");
    expect(Number(await inside("dev", "sleep 1; cat /root/count"))).toBeGreaterThan(counted);
    await done("fork", "dev", "try");
    // As large as the original without a word.
    const other = [...policy, "--allow", PUBLIC_2];
    await done("create", "-q", "-n", "next", ...other, "--from", "built");
    expect((await done("start", "next")).stderr).not.toContain("cannot go on");
    const seen = [self.join()];
    for (const name of ["try", "next"]) {
      const [sameBoot, ...who] = (await inside(name, identity)).split("\n");
      expect([name, sameBoot, who[1]]).toEqual([name, boot, name]);
      expect(seen).not.toContain(who.join());
      seen.push(who.join());
      const gone = await inside(
        name,
        "ls /etc/ssh; rm /root/count; until test -e /root/count; do sleep 0.2; done; cat /root/count; echo; " +
          "until test -e /root/flow; do sleep 0.2; done; cat /root/flow",
      );
      const [count, flow, ...more] = gone.split("\n");
      expect([name, Number(count) > counted, flow, more])
        .toEqual([name, true, "ConnectionResetError", []]);
    }
    const fetch = `curl -s -m 30 -o /dev/null http://${PUBLIC}/; echo $?`;
    expect(await inside("try", fetch)).toBe("0");
    expect(await inside("next", fetch)).not.toBe("0");
    // Of another machine it is not, and boots from the disk that it was saved with.
    await done("create", "-q", "-n", "larger", "--savable", "-m", "512M", "--from", "built");
    const { stderr } = await done("start", "larger");
    expect(stderr).toContain("cannot go on from its memory");
    expect((await inside("larger", identity)).split("\n")[0]).not.toBe(boot);
    expect(Number(await inside("larger", "cat /root/count"))).toBeGreaterThanOrEqual(counted);
  } finally {
    await named("rm", "--force", "dev", "try", "next", "larger");
    await named("snapshot", "rm", "built");
  }
}, 3_000_000);

/** Sandboxes below a directory of their own, without a network. */
function machines(state: string) {
  const own = { env: { ...env, XDG_STATE_HOME: join(place, state), XDG_RUNTIME_DIR: place } };
  const tried = (args: readonly string[], options: RunOptions = {}) =>
    sbx(args, { ...own, ...options, env: { ...own.env, ...options.env } });
  const done = async (args: readonly string[], options?: RunOptions) => {
    const { status, stdout, stderr } = await tried(args, options);
    expect({ args, status, stderr }).toMatchObject({ args, status: 0 });
    return { stdout: stdout.trim(), stderr };
  };
  const at = (...names: readonly string[]) => join(place, state, "sbx", ...names);
  const inside = async (name: string, line: string) =>
    (await done(["exec", name, "--", "sh", "-c", line])).stdout;
  const bootOf = (name: string) => inside(name, "cat /proc/sys/kernel/random/boot_id");
  return { tried, done, at, inside, bootOf };
}

const SMALL = ["-q", "--savable", "-m", "256M", "--disk", "256M"];
const BOOTS = "cannot go on from its memory";

test("copies take their turn, and what is left of a saved machine is in them alone", async () => {
  const { tried, done, at, bootOf } = machines("copied");
  await done(["create", "-n", "dev", "--no-net", ...SMALL]);
  try {
    await done(["start", "dev"]);
    const boot = await bootOf("dev");
    await Promise.all(
      ["one", "two"].map((tag) => done(["snapshot", "--memory", "dev", tag])),
    );
    expect(statSync(at("sandboxes", "dev", "saving")).size).toBe(0);
    expect((await done(["snapshot", "ls"])).stdout.match(/disk, memory$/gm)).toHaveLength(2);
    for (const signal of ["SIGINT", "SIGKILL"] as const) {
      const taking = world.start(["snapshot", "--memory", "dev", "never"], {
        env: { ...env, XDG_STATE_HOME: join(place, "copied"), XDG_RUNTIME_DIR: place },
      });
      await until("the save", () => statSync(at("sandboxes", "dev", "saving")).size > 0);
      taking.kill(signal);
      await taking.ended;
      expect([signal, await bootOf("dev")]).toEqual([signal, boot]);
      expect(statSync(at("sandboxes", "dev", "saving")).size).toBe(0);
    }
    expect((await done(["snapshot", "ls", "-q"])).stdout).toBe("one\ntwo");
    // A fork that was never started has what it is to go on from, and so has one of that.
    await done(["fork", "--no-start", "dev", "a"]);
    await done(["fork", "--no-start", "a", "b"]);
    for (const name of ["b", "a"]) {
      await done(["start", name]);
      expect([name, await bootOf(name)]).toEqual([name, boot]);
    }
  } finally {
    await tried(["rm", "--force", "dev", "a", "b"]);
    await tried(["snapshot", "rm", "one", "two"]);
  }
}, 2_000_000);

test(
  "where there is no room for the memory the disk alone is kept, and nothing of the other",
  async () => {
    const small = join(place, "small");
    mkdirSync(small);
    // In a namespace of its own, a file system of so many bytes; what holds it goes with it.
    const script = `set -e
mount -t tmpfs -o size=300M none "$0"
export XDG_STATE_HOME="$0"
sbx() { "$SBX" "$@"; }
trap 'sbx rm -f dev' EXIT
sbx create -n dev --no-net ${SMALL.join(" ")}
sbx start dev
sbx exec dev -- dd if=/dev/urandom of=/run/much bs=1M count=80 status=none
sbx snapshot dev built
if sbx snapshot --memory dev never; then echo done; fi
sbx exec dev -- dd if=/dev/urandom of=/root/much bs=1M count=60 conv=fsync status=none
if sbx snapshot --memory dev never; then echo done; fi
stat -c %s "$0/sbx/sandboxes/dev/saving"
ls "$0/sbx/snapshots/built" "$0/sbx/snapshots"`;
    const { status, stdout, stderr } = await run(["unshare", "-m", "sh", "-c", script, small], {
      env: { ...env, SBX },
      limit: PATIENCE,
    });
    expect(stderr).toMatch(
      /^sbx: snapshot built has the disk alone: it takes \d+ MiB, and \d+ MiB are free$/m,
    );
    expect(stderr).toMatch(/^sbx: cannot keep the memory of sandbox dev: it takes \d+ MiB, and/m);
    expect(stderr).toMatch(
      /^sbx: cannot keep the memory of sandbox dev: it may take 256 MiB, and/m,
    );
    expect(stdout).toBe(
      `dev\ndev\nbuilt\n0\n${small}/sbx/snapshots:\nbuilt\n\n${small}/sbx/snapshots/built:\ndisk\nlock\nrecord.json\ndev\n`,
    );
    expect(status).toBe(0);
  },
  1_000_000,
);

test("a start that fails leaves the memory to the next, and another QEMU boots", async () => {
  const { tried, done, inside, bootOf } = machines("started");
  const file = join(place, "app.conf");
  writeFileSync(file, "one\n");
  const network = ["--policy", "public-only"];
  const mounted = ["-v", `${file}:/etc/app.conf:ro`];
  const port = ["-p", "127.0.0.1:8123:80"];
  await done(["create", "-n", "dev", ...SMALL, ...mounted, ...network, ...port]);
  try {
    await done(["start", "dev"]);
    const boot = await bootOf("dev");
    for (const tag of ["one", "two", "three"]) await done(["snapshot", "--memory", "dev", tag]);
    const from = (tag: string, name: string, ...more: readonly string[]) =>
      done(["create", "-q", "-n", name, ...network, "--from", tag, ...more]);
    await from("one", "again", ...mounted, ...port);
    const refused = await tried(["start", "again"]);
    expect(refused).toMatchObject({ status: 125, stderr: expect.stringContaining("is taken") });
    await done(["port", "rm", "dev", "8123"]);
    expect((await done(["start", "again"])).stderr).not.toContain(BOOTS);
    expect(await bootOf("again")).toBe(boot);
    // The same program in another place is another program, as after an upgrade.
    const bin = join(place, "bin");
    mkdirSync(bin);
    for (const each of [place, bin]) chmodSync(each, 0o755);
    const program = "qemu-system-x86_64";
    copyFileSync(join("/usr/bin", program), join(bin, program));
    chmodSync(join(bin, program), 0o755);
    await from("two", "other", ...mounted);
    const PATH = `${bin}:${process.env["PATH"]}`;
    expect((await done(["start", "other"], { env: { PATH } })).stderr).toContain(BOOTS);
    expect(await bootOf("other")).not.toBe(boot);
    // What a guest has of a file that is mounted alone is a copy, which is in its memory.
    writeFileSync(file, "two\n");
    await from("three", "changed", ...mounted);
    expect((await done(["start", "changed"])).stderr).toContain(BOOTS);
    expect(await inside("changed", "cat /etc/app.conf")).toBe("two");
  } finally {
    await tried(["rm", "--force", "dev", "again", "other", "changed"]);
    await tried(["snapshot", "rm", "one", "two", "three"]);
  }
}, 2_000_000);

test("a guest with a file system of its own programs is saved, and goes on with it", async () => {
  const { tried, done, inside, bootOf } = machines("served");
  await done(["create", "-n", "dev", "--no-net", ...SMALL]);
  try {
    await done(["start", "dev"]);
    const server = join(ROOT, "test/support/served_files.py");
    await done(["cp", server, "dev:/root/"]);
    await inside(
      "dev",
      "setsid python3 /root/served_files.py </dev/null >/root/log 2>&1 & " +
        "until test -e /root/written || grep . /root/log; do sleep 0.2; done",
    );
    const boot = await bootOf("dev");
    await done(["snapshot", "--memory", "dev", "built"]);
    await done(["create", "-q", "-n", "next", "--no-net", "--from", "built"]);
    await done(["start", "next"]);
    for (const name of ["dev", "next"]) {
      const line =
        "rm /root/written; until test -e /root/written; do sleep 0.2; done; stat -c %s /mnt/served/file";
      expect([name, await inside(name, line), await bootOf(name)]).toEqual([name, "1048576", boot]);
    }
  } finally {
    await tried(["rm", "--force", "dev", "next"]);
    await tried(["snapshot", "rm", "built"]);
  }
}, 2_000_000);

test(
  "what a guest was started with keeps its memory out, also where it was taken back since",
  async () => {
    const { tried, done } = machines("taken-back");
    const none = join(place, "none.json");
    writeFileSync(none, JSON.stringify({ default: "deny", rules: [] }));
    await done(["create", "-n", "dev", ...SMALL, "--policy", "public-only", "--tls-intercept"]);
    try {
      await done(["start", "dev"]);
      await done(["policy", "apply", "dev", none]);
      const refused = await tried(["snapshot", "--memory", "dev", "never"]);
      expect([refused.status, refused.stdout]).toEqual([125, ""]);
      expect(refused.stderr).toContain(
        "cannot keep the memory of sandbox dev: its TLS is opened by an authority that is its own",
      );
    } finally {
      await tried(["rm", "--force", "dev"]);
    }
  },
  1_000_000,
);

test(
  "a saved machine goes on with its mount, and boots where a file that it has open is another one",
  async () => {
    const own = {
      env: { ...env, XDG_STATE_HOME: join(place, "replaced"), XDG_RUNTIME_DIR: place },
    };
    const mount = join(place, "shared");
    mkdirSync(mount);
    writeFileSync(join(mount, "open"), "one\n");
    const done = async (...args: string[]) => {
      const { status, stdout, stderr } = await sbx(args, own);
      expect({ args, status, stderr }).toMatchObject({ args, status: 0 });
      return { stdout: stdout.trim(), stderr };
    };
    const bootOf = async (name: string) =>
      (await done("exec", name, "--", "cat", "/proc/sys/kernel/random/boot_id")).stdout;
    const machine = [
      "--savable",
      "--no-net",
      "-m",
      "256M",
      "--disk",
      "256M",
      "-v",
      `${mount}:/work`,
    ];
    await done("create", "-q", "-n", "mounted", ...machine);
    try {
      await done("start", "mounted");
      const holder = "setsid sh -c 'exec 3</work/open; touch /root/held; exec sleep 1d' " +
        "</dev/null >/dev/null 2>&1 & until test -e /root/held; do sleep 0.2; done";
      await done("exec", "mounted", "--", "sh", "-c", holder);
      const boot = await bootOf("mounted");
      for (const name of ["same", "other"]) await done("fork", "--no-start", "mounted", name);
      await done("start", "same");
      expect(await bootOf("same")).toBe(boot);
      writeFileSync(join(mount, "new"), "two\n");
      renameSync(join(mount, "new"), join(mount, "open"));
      expect((await done("start", "other")).stderr).toContain("cannot go on from its memory");
      expect(await bootOf("other")).not.toBe(boot);
    } finally {
      await sbx(["rm", "--force", "mounted", "same", "other"], own);
    }
  },
  2_000_000,
);

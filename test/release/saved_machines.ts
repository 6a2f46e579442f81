/**
 * Machines that were saved with their memory: they go on as others, and boot where something that they depend on is
 * another. It takes a QEMU and a virtiofsd that can save one: scripts/test-debian13 runs it.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PUBLIC, PUBLIC_2 } from "../support/places.ts";
import type { RunOptions } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

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

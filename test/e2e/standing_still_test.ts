/** A guest that stands still while its disk is copied, whatever happens to it and to whoever makes the copy. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { run, type RunOptions, start, until } from "../support/process.ts";
import { makeSystem } from "../support/system_tree.ts";
import { ROOT, SBX } from "../support/world.ts";

let scratch: string;
let env: Record<string, string>;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "sbx-still-"));
  env = { XDG_STATE_HOME: join(scratch, "state"), XDG_CACHE_HOME: join(ROOT, ".cache/test") };
});
afterEach(async () => {
  await sbx(["rm", "--force", "dev"]);
  rmSync(state("snapshots"), { recursive: true, force: true });
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const sbx = (argv: readonly string[], options: RunOptions = {}) =>
  run([SBX, ...argv], { ...options, env: { ...env, ...options.env } });
const done = async (...argv: readonly string[]): Promise<string> => {
  const { status, stdout, stderr } = await sbx(argv);
  expect({ argv, status, stderr }).toMatchObject({ argv, status: 0 });
  return stdout;
};
const state = (...names: readonly string[]) => join(env.XDG_STATE_HOME ?? "", "sbx", ...names);

async function started(...options: readonly string[]): Promise<void> {
  const guest = ["--no-net", "-m", "256M", "-n", "dev", ...options];
  await done("run", "-d", "-q", ...guest, "--", "sleep", "1d");
}

/** So much that to copy it takes a while. */
async function writeMuch(): Promise<void> {
  const into = ["if=/dev/urandom", "of=/root/much", "bs=1M", "count=300", "status=none"];
  await done("exec", "dev", "--", "dd", ...into);
}

test("a guest whose root ends its stillness has no snapshot", async () => {
  await started("--disk", "2G");
  await writeMuch();
  // FITHAW, as often as it can.
  const script =
    "import fcntl, os\nroot = os.open('/', 0)\nprint('ready', flush=True)\nwhile True:\n try: fcntl.ioctl(root, 0xc0045878, 0); print('moved', flush=True)\n except OSError: pass";
  const job = (await done("exec", "-d", "dev", "--", "python3", "-c", script)).trim();
  const said = async () => await done("logs", "--job", job, "dev");
  await until("its beginning", async () => (await said()).includes("ready"));
  const taken = await sbx(["snapshot", "dev", "moved"]);
  expect([taken.status, taken.stdout]).toEqual([125, ""]);
  expect(taken.stderr).toContain("it did not stand still all the time");
  expect(readdirSync(state("snapshots"))).toEqual([]);
  expect(await said()).toStartWith("ready\nmoved\n");
}, 300_000);

test(
  "a guest whose copy somebody stops goes on after a minute, and is not ended for what waits meanwhile",
  async () => {
    await started("--disk", "2G");
    await writeMuch();
    const taking = start([SBX, "snapshot", "dev", "never"], { env, limit: 200 });
    await until("the copy", () => {
      const parts = existsSync(state("snapshots")) ? readdirSync(state("snapshots")) : [];
      return existsSync(state("snapshots", parts[0] ?? "", "disk"));
    });
    taking.kill("SIGSTOP"); // as Ctrl-Z does
    // It can neither write nor die before the guest goes on.
    const late = await sbx([
      "exec",
      "--timeout",
      "1s",
      "dev",
      "--",
      "sh",
      "-c",
      "echo > /root/note",
    ]);
    expect([late.status, late.stderr]).toEqual([124, "sbx: ended after 1s (--timeout)\n"]);
    expect(await done("exec", "dev", "--", "sh", "-c", "echo on > /root/note; cat /root/note"))
      .toBe("on\n");
    taking.kill("SIGCONT");
    const { status, stdout, stderr } = await taking.ended;
    expect([status, stdout]).toEqual([125, ""]);
    expect(stderr).toContain("whoever asked for it said nothing for 60 seconds\nhint: ");
    expect(readdirSync(state("snapshots"))).toEqual([]);
  },
  300_000,
);

test.if(process.getuid?.() === 0)(
  "a root that is somebody's tree has its copies, with what is its own on the disk",
  async () => {
    const tree = join(scratch, "tree");
    makeSystem(tree, ["/bin/sleep", "/bin/mkdir"]);
    const root = ["--root", tree];
    await started("--disk", "256M", ...root);
    await done(
      "exec",
      "dev",
      "--",
      "sh",
      "-c",
      "mkdir -p /etc/ssh; echo > /etc/ssh/ssh_host_a_key; echo built > /note",
    );
    await done("snapshot", "dev", "running");
    await done("stop", "dev");
    await done("snapshot", "dev", "stopped");
    for (const tag of ["running", "stopped"]) {
      const begun = ["run", "-q", "-m", "256M", ...root, "--from", tag];
      expect(await done(...begun, "--", "sh", "-c", "cat /note; ls /etc/ssh")).toBe("built\n");
    }
    await done("start", "dev");
    expect(await done("exec", "dev", "--", "ls", "/etc/ssh")).toBe("ssh_host_a_key\n");
  },
  300_000,
);

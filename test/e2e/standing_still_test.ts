/** A guest that stands still while its disk is copied, whatever its root is. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { run, type RunOptions } from "../support/process.ts";
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

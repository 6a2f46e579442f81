/** Whose instances of Lima's are run. */
import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { readInstance, superviseInstance } from "../../lib/api/lima.ts";
import { ownArchitecture } from "../../lib/host/lima/machine.ts";
import { Sandbox } from "../../lib/mod.ts";

const scratch = mkdtempSync(join(tmpdir(), "sbx-whose-"));
const before = process.env["XDG_STATE_HOME"];
process.env["XDG_STATE_HOME"] = join(scratch, "state");
afterAll(() => {
  if (before === undefined) delete process.env["XDG_STATE_HOME"];
  else process.env["XDG_STATE_HOME"] = before;
  rmSync(scratch, { recursive: true });
});

/** Runs the instance in a directory up to where it says why not. */
function run(dir: string): Promise<unknown> {
  const arch = ownArchitecture() === "x64" ? "x86_64" : "aarch64";
  const place = { name: "dev", dir, arch, cpus: 1, memory: 1 << 30 };
  const instance = readInstance({ ...place, config: { vmType: "sbx", plain: true } });
  const { network } = Sandbox.builder("dev").build();
  const signal = new AbortController().signal;
  return superviseInstance({ instance, network, stopMs: 1 }, {
    signal,
    notice: () => {},
    ready: () => {},
  });
}

test("one that anybody can put another in the place of is not", async () => {
  const home = join(scratch, "shared");
  mkdirSync(join(home, "dev"), { recursive: true });
  chmodSync(home, 0o777);
  await expect(run(join(home, "dev"))).rejects.toMatchObject({
    code: "FILE_UNREADABLE",
    message: expect.stringMatching(
      /^Cannot use Lima's instance in .*: anybody can write to .*shared$/,
    ),
    hint: "point LIMA_HOME at a directory of your own",
  });
});

test("one that stands open to others is closed", async () => {
  const dir = join(scratch, "open");
  mkdirSync(dir);
  chmodSync(dir, 0o777);
  await expect(run(dir)).rejects.toMatchObject({ code: "LIMA_INSTANCE" }); // it has no port for SSH
  expect(statSync(dir).mode & 0o777).toBe(0o700);
});

/** Extended attributes through `sbx cp`, to a guest that keeps them and to one whose memory does not. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ bare: true });
});
afterAll(() => world?.[Symbol.asyncDispose]());

const GIVE = `
import os, sys
os.setxattr(sys.argv[1], "user.directory", b"")
os.setxattr(sys.argv[1] + "/file", "user.value", bytes(range(256)) * 8)
if os.geteuid() == 0: os.setxattr(sys.argv[1] + "/file", "trusted.mine", b"x")`;

const TELL = `
import os, sys
for at in (sys.argv[1], sys.argv[1] + "/file"):
  print({name: hash(os.getxattr(at, name)) for name in os.listxattr(at)})`;

// Hashes of bytes are the same in each process with it.
const python = ["env", "PYTHONHASHSEED=0", "/usr/bin/python3", "-c"];

const GUESTS: readonly (readonly [where: string, flags: readonly string[], kept: boolean])[] = [
  ["on a disk", ["--disk", "1G"], true],
  ["in memory, where its kernel has none", [], false],
];

test.each(GUESTS)(
  "a tree's attributes come along, and what is not kept is told: a guest %s",
  async (_, flags, kept) => {
    const top = join(world.scratch, kept ? "kept" : "lost");
    mkdirSync(join(top, "in"), { recursive: true });
    writeFileSync(join(top, "in/file"), "content");
    expect(await world.run([...python, GIVE, join(top, "in")])).toMatchObject({ status: 0 });
    const name = kept ? "keeps" : "loses";
    const sbx = (...args: readonly string[]) => world.sbx(args, { limit: 280 });
    expect(await sbx("create", "-q", "-n", name, "--no-net", ...flags)).toMatchObject({
      status: 0,
    });
    try {
      expect(await sbx("start", name)).toMatchObject({ status: 0 });
      const { status, stderr } = await sbx("cp", join(top, "in"), `${name}:/root/`);
      const told =
        "sbx: left out 2 extended attributes, which the file system of the copy does not take\n";
      expect({ status, stderr }).toEqual({ status: 0, stderr: kept ? "" : told });
      const own = await world.run([...python, TELL, join(top, "in")]);
      const users = kept
        ? own.stdout.replace(/, 'trusted.mine': -?\d+|'trusted.mine': -?\d+, /, "")
        : "{}\n{}\n";
      if (kept) expect(users).toMatch(/^\{'user.directory': 0\}\n\{'user.value': -?\d+\}\n$/);
      expect(await sbx("exec", name, "--", ...python, TELL, "/root/in"))
        .toMatchObject({ status: 0, stdout: users });
      // Neither does what root of the guest says for its own kernel get out.
      const add = kept
        ? "import os; os.setxattr('/root/in/file', 'trusted.overlay.opaque', b'y'); os.setxattr('/root/in/file', 'security.capability', bytes.fromhex('01000002' + '00040000' + '00' * 12))"
        : "";
      expect(await sbx("exec", name, "--", ...python, add)).toMatchObject({ status: 0 });
      expect(await sbx("cp", `${name}:/root/in`, join(top, "back")))
        .toMatchObject({ status: 0, stderr: "" });
      expect((await world.run([...python, TELL, join(top, "back")])).stdout).toBe(users);
    } finally {
      await sbx("rm", "-f", name);
    }
  },
  300_000,
);

/** What Lima's driver cannot have meant, each command of `sbx lima-guest` says so to it and to the log. */
import { expect, test } from "bun:test";
import { run } from "../support/process.ts";
import { SBX } from "../support/world.ts";

test.each(["configure", "check", "forget", "run"])(
  "what is no instance of Lima's is refused by %s in words",
  async (command) => {
    for (const stdin of ["", "nonsense\n", '{"name": \n', "[]\n", '{"name": 1}\n']) {
      const { status, stdout, stderr } = await run([SBX, "lima-guest", command], { stdin });
      expect(status).toBe(125);
      expect(stderr).toMatch(/^sbx: cannot read Lima's instance: .*\nhint: .*\n$/);
      expect(JSON.parse(stdout)).toMatchObject({ event: "refused" });
    }
  },
  60_000,
);

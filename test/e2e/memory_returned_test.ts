/**
 * Memory that a guest has used and needs no more is this machine's again, however the guest has it: as
 * QEMU's own, shared with a file daemon, as a copy of a template's.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { processesOf } from "../support/host_state.ts";
import { until } from "../support/process.ts";
import { residentMiB } from "../support/process_memory.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ bare: true });
  mkdirSync(join(world.scratch, "work"));
  const { status, stderr } = await world.sbx(["template", "build", "-q", "--no-net"], {
    limit: 180,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});
afterAll(() => world?.[Symbol.asyncDispose]());

const USED_MIB = 256;

/** Fragments stay: only whole huge pages are given back. */
const RETURNED_MIB = USED_MIB * 3 / 4;

/** Uses memory, and gives it up for each line of input. */
const SCRIPT = `
head -c ${USED_MIB}M /dev/zero >/dev/shm/used && echo used
read _ && rm /dev/shm/used && echo unused
read _
head -c 64M /dev/zero | cmp -n 67108864 - /dev/zero && echo sound
`;

const KINDS: Readonly<Record<string, readonly string[]>> = {
  "booted": ["--no-template"],
  "booted, with a mount": ["--no-template", "-v", "WORK"],
  "from a template": [],
};

describe("what a guest needs no more is given back", () => {
  for (const [kind, flags] of Object.entries(KINDS)) {
    test(kind, async () => {
      const own = flags.map((flag) => flag.replace("WORK", `${join(world.scratch, "work")}:/work`));
      const run = world.start(["run", "-q", "--no-net", ...own, "--", "sh", "-c", SCRIPT], {
        limit: 170,
      });
      await until("the memory in use", () => run.stdout() === "used\n", 90);
      const qemu = processesOf(world).find(({ name }) => name.startsWith("qemu-system"))?.pid ?? 0;
      const most = residentMiB(qemu);
      expect(most).toBeGreaterThan(USED_MIB);

      run.child.stdin?.write("\n");
      await until("memory given back", () => residentMiB(qemu) < most - RETURNED_MIB, 60);
      run.child.stdin?.end("\n");
      const { status, stdout, stderr } = await run.ended;
      expect({ status, stdout, stderr }).toEqual({
        status: 0,
        stdout: "used\nunused\nsound\n",
        stderr: "",
      });
    }, 180_000);
  }
});

import { expect, test } from "bun:test";
import { SandboxBuilder } from "../../lib/api/sandbox_builder.ts";
import { guestPlan } from "../../lib/sandbox/guest_plan.ts";
import { NETWORK, PLAN } from "../guest/plan.ts";

const PARTS = {
  root: PLAN.root,
  machineId: PLAN.machineId,
  mounts: [],
  files: [],
  trust: PLAN.trust,
};
const plan = (builder: SandboxBuilder, parts: Partial<typeof PARTS> = {}) =>
  guestPlan(builder.build(), { ...PARTS, ...parts });

test("a guest has the size and the name that the options say, and a name for a host name", () => {
  const { cpus, memoryMiB, hostname } = plan(new SandboxBuilder().cpus(3).memory(256).name("box"));
  expect({ cpus, memoryMiB, hostname }).toEqual({ cpus: 3, memoryMiB: 256, hostname: "box" });
  expect(plan(new SandboxBuilder().name("box").hostname("a.example")).hostname).toBe("a.example");
});

test("single files are no directories to share", () => {
  const directory = { host: "/data", guest: "/in", readOnly: false };
  const mounts = [{ host: "/f", guest: "/g", readOnly: true, file: true as const }, directory];
  const file = { entry: { path: "/run/sbx/file0", data: new Uint8Array() }, at: "/g" };
  const { mounts: shared, files } = guestPlan(new SandboxBuilder().build(), {
    ...PARTS,
    mounts,
    files: [file],
  });
  expect(shared).toEqual([directory]);
  expect(files).toEqual([file]);
});

test("the same options and findings make the same plan, with a network or without", () => {
  const options = new SandboxBuilder().name("box").build();
  const connected = { ...PARTS, network: NETWORK };
  expect(guestPlan(options, connected)).toEqual(guestPlan(options, connected));
  expect(guestPlan(options, connected).network).toEqual(NETWORK);
  expect("network" in guestPlan(options, PARTS)).toBe(false);
});

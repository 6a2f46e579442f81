/** Guests of Lima's and other sandboxes: one name space, and what holds at the next start. */
import { afterAll, beforeEach, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { SbxError } from "../../lib/base/errors.ts";
import { NetworkPolicy, Sandbox } from "../../lib/mod.ts";
import {
  changedNetwork,
  forgetLima,
  forgetLimaChanges,
  keepLima,
  requireLimaName,
} from "../../lib/supervise/lima.ts";
import { launch } from "../../lib/supervise/launch.ts";
import { remember } from "../../lib/supervise/lima_changes.ts";
import { FOREVER, policyOf, specOf } from "../../lib/supervise/record.ts";
import {
  keepSandbox,
  keptSandbox,
  lockSandbox,
  rewriteRecord,
  sandboxNames,
  usableRecord,
} from "../../lib/supervise/registry.ts";
import { removeSandbox } from "../../lib/supervise/remove.ts";
import { makeFork, takeSnapshot } from "../../lib/supervise/copies.ts";

const before = process.env["XDG_STATE_HOME"];
const scratch = mkdtempSync(join(tmpdir(), "sbx-lima-names-"));
let number = 0;
beforeEach(() => {
  process.env["XDG_STATE_HOME"] = join(scratch, `state-${++number}`);
});
afterAll(() => {
  if (before === undefined) delete process.env["XDG_STATE_HOME"];
  else process.env["XDG_STATE_HOME"] = before;
  rmSync(scratch, { recursive: true });
});

const options = Sandbox.builder("dev").build();
const { network } = options;

/** Where an instance is; the directory is there. */
function place(home: string, name = "dev") {
  const directory = join(scratch, home, name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return { name, directory };
}

const codeOf = (work: Promise<unknown>) => work.then(() => "none", (error: SbxError) => error.code);

test("a name that a sandbox has is no guest's of Lima's, and the other way round", async () => {
  const life = FOREVER;
  const record = { sbx: "0.1.0", createdMs: 1, directory: "/", life, spec: specOf(options) };
  await keepSandbox({ ...record, name: "dev" });
  expect(await codeOf(requireLimaName(place("one")))).toBe("SANDBOX_EXISTS");
  expect(await codeOf(keepLima(place("one"), options))).toBe("SANDBOX_EXISTS");
  await keepLima(place("one", "other"), options);
  expect(await codeOf(keepSandbox({ ...record, name: "other" }))).toBe("SANDBOX_EXISTS");
  expect(await codeOf(requireLimaName({ name: "-x", directory: "/" }))).toBe("USAGE");
});

test("two homes of Lima's share no name, until one of the instances is gone", async () => {
  await keepLima(place("one"), options);
  await keepLima(place("one"), options);
  expect(await codeOf(keepLima(place("two"), options))).toBe("SANDBOX_EXISTS");
  expect(await codeOf(requireLimaName({ name: "dev", directory: "" }))).toBe("SANDBOX_EXISTS");
  rmSync(place("one").directory, { recursive: true });
  await keepLima(place("two"), options);
  expect(usableRecord(await keptSandbox("dev")).lima?.directory).toBe(place("two").directory);
});

test("what was changed while it ran holds until it is started with other options", async () => {
  await keepLima(place("one"), options);
  expect(await changedNetwork(place("one"), network)).toEqual(network);
  const { home } = await keptSandbox("dev");
  const record = usableRecord(await keptSandbox("dev"));
  const policy = policyOf({ ...network, policy: NetworkPolicy.preset("allow-all") });
  const publish = [{ hostPort: 8080, guestPort: 80, protocol: "tcp" as const }];
  const lima = { directory: place("one").directory, changed: { policy, publish } };
  await rewriteRecord(home, { ...record, lima });
  await keepLima(place("one"), options); // its next start
  const changed = await changedNetwork(place("one"), network);
  expect(changed.policy.defaults.outbound).toBe("allow");
  expect(changed.publish).toEqual(publish);
  await forgetLimaChanges(place("one"));
  expect(await changedNetwork(place("one"), network)).toEqual(network);
});

test("what was changed goes along where Lima clones or renames the instance", async () => {
  const [one, other] = [place("three"), place("three", "other")];
  await keepLima(one, options);
  const { home } = await keptSandbox("dev");
  const record = usableRecord(await keptSandbox("dev"));
  const policy = policyOf({ ...network, policy: NetworkPolicy.preset("none") });
  await remember(home, { ...record, lima: { directory: one.directory, changed: { policy } } });
  cpSync(one.directory, other.directory, { recursive: true });
  expect((await changedNetwork(other, network)).policy).toEqual(NetworkPolicy.preset("none"));
  await keepLima(other, options);
  const { lima } = usableRecord(await keptSandbox("other"));
  expect(lima).toEqual({ directory: other.directory, changed: { policy } });
  await forgetLimaChanges(other);
  expect(await changedNetwork(other, network)).toEqual(network);
  expect((await changedNetwork(one, network)).policy).toEqual(NetworkPolicy.preset("none"));
  writeFileSync(join(one.directory, "sbx-changes.yaml"), "no JSON");
  expect(await codeOf(changedNetwork(one, network))).toBe("LIMA_INSTANCE");
});

test("sbx neither starts it nor removes its record while Lima has its disk", async () => {
  await keepLima(place("one"), options);
  expect(await codeOf(launch(await keptSandbox("dev")))).toBe("LIMA_INSTANCE");
  expect(await codeOf(removeSandbox("dev", {}))).toBe("LIMA_INSTANCE");
  rmSync(place("one").directory, { recursive: true });
  await removeSandbox("dev", {});
  expect(await sandboxNames()).toEqual([]);
});

test("it is forgotten by the instance's directory, and not while it runs", async () => {
  await keepLima(place("one"), options);
  await forgetLima(place("two"));
  expect(await sandboxNames()).toEqual(["dev"]);
  const lock = await lockSandbox((await keptSandbox("dev")).home);
  await forgetLima(place("one"));
  expect(await sandboxNames()).toEqual(["dev"]);
  lock?.release();
  await forgetLima(place("one"));
  expect(await sandboxNames()).toEqual([]);
  await forgetLima(place("one"));
}, 20_000);

test("the disk of a guest of Lima's is not said to be in its memory", async () => {
  await keepLima(place("one"), options);
  const refusal = { code: "DISK_MISSING", hint: "'sbx cp' takes files out of it" };
  await expect(takeSnapshot("dev", "built", {})).rejects.toMatchObject({
    ...refusal,
    message: "Cannot take a snapshot of sandbox dev: its disk is Lima's",
  });
  await expect(makeFork("dev", "try", {})).rejects.toMatchObject(refusal);
  expect(await sandboxNames()).toEqual(["dev"]);
});

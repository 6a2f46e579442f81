/** Snapshots on a real disk, of disks that no guest has: kept, found, swept and removed, by two at once as well. */
import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { SbxError } from "../../lib/base/errors.ts";
import { lockFile } from "../../lib/host/file_lock.ts";
import { NetworkPolicy, Sandbox, type SandboxBuilder } from "../../lib/mod.ts";
import { forkOf, makeFork, takeSnapshot } from "../../lib/supervise/copies.ts";
import { sandboxesDir, snapshotsDir } from "../../lib/supervise/home.ts";
import { FOREVER, type SandboxRecord, specOf } from "../../lib/supervise/record.ts";
import { keepSandbox, keptSandbox, usableRecord } from "../../lib/supervise/registry.ts";
import { removeSandbox } from "../../lib/supervise/remove.ts";
import { policyOfSnapshot } from "../../lib/supervise/snapshot_record.ts";
import {
  keptSnapshot,
  keptSnapshots,
  removeSnapshot,
  usableSnapshot,
} from "../../lib/supervise/snapshots.ts";
import { eachWithOwnState } from "../support/own_state.ts";

eachWithOwnState("snapshots");

const codeOf = (promise: Promise<unknown>) =>
  promise.then(() => "none", (error) => error instanceof SbxError ? error.code : String(error));

/** A sandbox with a disk that somebody wrote to. */
async function kept(name: string, configure = (builder: SandboxBuilder) => builder) {
  const builder = configure(Sandbox.builder(name).disk("1G"));
  const home = await keepSandbox({
    sbx: "0.1.0",
    name,
    createdMs: 1,
    directory: "/",
    life: FOREVER,
    spec: specOf(builder.build()),
  });
  writeFileSync(home.disk, `the disk of ${name}`, { mode: 0o600 });
  return home;
}

test("a tag is taken once, and free again when it was removed", async () => {
  await kept("dev");
  const made = await Promise.all([1, 2, 3].map(() => codeOf(takeSnapshot("dev", "built", {}))));
  expect(made.toSorted()).toEqual(["SNAPSHOT_EXISTS", "SNAPSHOT_EXISTS", "none"]);
  expect(readdirSync(snapshotsDir())).toEqual(["built"]);
  const { disk, taken, record } = await keptSnapshot("built");
  expect(readFileSync(disk, "utf8").slice(0, 15)).toBe("the disk of dev");
  expect(taken).toBeGreaterThan(0);
  expect(record).toMatchObject({ sandbox: "dev", bytes: 2 ** 30 });
  expect(await codeOf(takeSnapshot("dev", "built", {}))).toBe("SNAPSHOT_EXISTS");
  await removeSandbox("dev", {});
  expect(existsSync(disk)).toBe(true);
  await removeSnapshot("built");
  expect(readdirSync(snapshotsDir())).toEqual([]);
  for (const call of [keptSnapshot, removeSnapshot]) {
    expect(await codeOf(call("built"))).toBe("SNAPSHOT_MISSING");
  }
});

test("what is no tag leads nowhere", async () => {
  await kept("dev");
  for (const tag of ["", "..", "a/b", "../sandboxes/dev", ".new-1", "-x", "a b", "x".repeat(64)]) {
    for (const call of [keptSnapshot, removeSnapshot, (t: string) => takeSnapshot("dev", t, {})]) {
      expect([tag, await codeOf(call(tag))]).toEqual([tag, "USAGE"]);
    }
  }
  expect(readdirSync(sandboxesDir())).toEqual(["dev"]);
});

test("of a sandbox without a disk, or that was never started, there is nothing to keep", async () => {
  const home = await kept("dev");
  rmSync(home.disk);
  await kept("fleeting", (builder) => builder);
  const none = await keepSandbox({
    ...usableRecord(await keptSandbox("fleeting")),
    name: "none",
    spec: specOf(Sandbox.builder("none").build()),
  });
  for (const name of ["dev", "none"]) {
    expect([name, await codeOf(takeSnapshot(name, "built", {}))]).toEqual([name, "DISK_MISSING"]);
  }
  expect(await codeOf(makeFork("none", "other", {}))).toBe("DISK_MISSING");
  expect(existsSync(none.disk)).toBe(false);
  expect(readdirSync(snapshotsDir())).toEqual([]);
  expect(await codeOf(takeSnapshot("devv", "built", {}))).toBe("SANDBOX_MISSING");
  // A fork of it is as new as it is.
  expect(await makeFork("dev", "other", {})).toBe("other");
  expect(existsSync((await keptSandbox("other")).home.disk)).toBe(false);
});

test("a copy that fails, or whose guest did not stand still, leaves nothing", async () => {
  const home = await kept("dev");
  const moved = {
    thaw: () => Promise.reject(new SbxError("GUEST_FAILED", "Cannot go on: it moved")),
  };
  const freeze = () => Promise.resolve(moved);
  expect(await codeOf(takeSnapshot("dev", "built", { freeze }))).toBe("GUEST_FAILED");
  const signal = AbortSignal.abort(new SbxError("STOPPED", "Cannot go on: enough"));
  expect(await codeOf(takeSnapshot("dev", "built", { signal }))).toBe("STOPPED");
  expect(await codeOf(makeFork("dev", "other", { signal }))).toBe("STOPPED");
  chmodSync(home.disk, 0o644);
  expect(await codeOf(takeSnapshot("dev", "built", {}))).toBe("FILE_UNREADABLE");
  rmSync(home.disk);
  symlinkSync("/etc/hostname", home.disk);
  expect(await codeOf(makeFork("dev", "other", {}))).toBe("FILE_UNREADABLE");
  expect(readdirSync(snapshotsDir())).toEqual([]);
  expect(readdirSync(sandboxesDir())).toEqual(["dev"]);
});

test(
  "while its disk is copied a sandbox is as it was, and neither started nor removed",
  async () => {
    const home = await kept("dev");
    let told: unknown;
    const freeze = async () => {
      await Promise.resolve();
      return { thaw: () => Promise.resolve() };
    };
    // Somebody has it already.
    const lock = lockFile(home.lock);
    expect(await codeOf(takeSnapshot("dev", "built", {}))).toBe("SANDBOX_RUNNING");
    expect(await codeOf(takeSnapshot("dev", "live", { freeze }))).toBe("none");
    lock?.release();
    const { whileStill } = await import("../../lib/supervise/still_disk.ts");
    await whileStill("dev", { doing: "look at sandbox", freeze: undefined }, async () => {
      expect((await keptSandbox("dev")).status).toBe("created");
      told = await removeSandbox("dev", {}).catch(({ message }) => message);
      expect(await codeOf(takeSnapshot("dev", "other", {}))).toBe("none");
    });
    expect(told).toBe("Cannot remove sandbox dev: its disk is being copied");
    await removeSandbox("dev", {});
  },
  30_000,
);

test("what killed processes left is swept, and what somebody still makes is not", async () => {
  await kept("dev");
  await takeSnapshot("dev", "built", {});
  const locks = [".new-1", ".new-2", ".new-3", ".gone-1"].map((name) => {
    const path = join(snapshotsDir(), name);
    mkdirSync(path);
    const lock = name === ".new-1" ? lockFile(join(path, "lock")) : null;
    if (name !== ".new-2") utimesSync(path, 0, 0); // that one has just begun
    return lock;
  });
  await takeSnapshot("dev", "later", {});
  expect(readdirSync(snapshotsDir()).toSorted()).toEqual([".new-1", ".new-2", "built", "later"]);
  for (const lock of locks) lock?.release();
  await removeSnapshot("later");
  expect(readdirSync(snapshotsDir()).toSorted()).toEqual([".new-2", "built"]);
});

test("one that is damaged, newer or others' is told apart, and can be removed", async () => {
  await kept("dev");
  const { disk } = await takeSnapshot("dev", "built", {});
  const file = join(disk, "../record.json");
  const text = readFileSync(file, "utf8");
  for (
    const [wrong, state] of [
      ["{", "its record is damaged"],
      [text.replace('"built"', '"other"'), "its record is damaged"],
      ['{"format": 2, "sbx": "9.9.9"}', "sbx 9.9.9 wrote it"],
    ] as const
  ) {
    writeFileSync(file, wrong, { mode: 0o600 });
    const [found] = await keptSnapshots();
    expect(found?.record).toMatchObject({
      code: "STATE_UNUSABLE",
      message: `Cannot use snapshot built: ${state}`,
    });
    expect(await codeOf(Sandbox.builder().from("built").createDetached({ start: false })))
      .toBe("STATE_UNUSABLE");
  }
  chmodSync(snapshotsDir(), 0o777);
  for (const call of [keptSnapshots, () => keptSnapshot("built"), () => removeSnapshot("built")]) {
    expect(await codeOf(call())).toBe("STATE_UNUSABLE");
  }
  chmodSync(snapshotsDir(), 0o700);
  await removeSnapshot("built");
  expect(await keptSnapshots()).toEqual([]);
});

test("a snapshot has the policy of its sandbox, and none of its secrets", async () => {
  await kept(
    "dev",
    (builder) =>
      builder.network((network) =>
        network.policy(NetworkPolicy.none()).allow("api.example.com:443").blockDomain("bad.test")
          .maxConnections(7).tls((tls) =>
            tls.interceptCaCert("own/ca.pem").interceptCaKey("/k.pem")
          )
          .secret("TOKEN=env:OTHER@api.example.com")
      ),
  );
  const policy = policyOfSnapshot(usableSnapshot(await takeSnapshot("dev", "built", {})));
  expect(policy).toMatchObject({
    dns: { block: ["bad.test"] },
    limits: { maxConnections: 7 },
    tls: { authority: { cert: "/own/ca.pem", key: "/k.pem" } },
    secrets: { secrets: [] },
  });
  expect(policy.policy.rules.length).toBe(1);
  expect(JSON.stringify(policy.policy.rules)).toContain("api.example.com");
  expect(readFileSync((await keptSnapshot("built")).disk.replace(/disk$/, "record.json"), "utf8"))
    .not.toContain("OTHER");
});

test("a sandbox that begins with a snapshot has its own disk, as large as wanted", async () => {
  await kept(
    "dev",
    (builder) => builder.network((network) => network.policy(NetworkPolicy.none())),
  );
  await takeSnapshot("dev", "built", {});
  const create = async (builder: SandboxBuilder) => {
    await using made = await builder.createDetached({ start: false });
    return usableRecord(await keptSandbox(made.name));
  };
  const from = () => Sandbox.builder().from("built");
  const record = await create(from().name("one"));
  expect(record.spec.disk).toEqual({ bytes: 2 ** 30 });
  expect(record.spec.policy).toEqual(usableRecord(await keptSandbox("dev")).spec.policy);
  const { home } = await keptSandbox("one");
  expect(readFileSync(home.disk, "utf8").slice(0, 15)).toBe("the disk of dev");
  const own = await create(
    from().name("two").disk("2G").network((network) => network.policy(NetworkPolicy.publicOnly())),
  );
  expect(own.spec.disk).toEqual({ bytes: 2 ** 31 });
  expect(own.spec.policy).not.toEqual(record.spec.policy);
  // What is called for it beside a policy is on top of the snapshot's.
  const more = await create(from().name("three").network((network) => network.allow("a.test:1")));
  expect(JSON.stringify(more.spec.policy)).toContain("a.test");
  const names = () => readdirSync(sandboxesDir()).toSorted();
  expect(names()).toEqual(["dev", "one", "three", "two"]);
  for (
    const [builder, code] of [
      [from().disk("512M"), "USAGE"],
      [from().disk("2G", { path: "/elsewhere" }), "USAGE"],
      [Sandbox.builder().from("none"), "SNAPSHOT_MISSING"],
      [from().name("one"), "SANDBOX_EXISTS"],
    ] as const
  ) {
    expect(await codeOf(builder.createDetached({ start: false }))).toBe(code);
  }
  expect(() => Sandbox.builder().from("../dev")).toThrow("not the tag of a snapshot");
  expect(names()).toEqual(["dev", "one", "three", "two"]);
  expect((await Sandbox.snapshots()).map(({ tag, sandbox }) => [tag, sandbox]))
    .toEqual([["built", "dev"]]);
});

test("a fork is the same sandbox, with nothing that two cannot have", () => {
  const record: SandboxRecord = {
    format: 1,
    sbx: "0.1.0",
    name: "dev_1",
    createdMs: 1,
    directory: "/srv",
    life: { restart: "always", remove: false, main: { argv: ["a"], tty: false, stdin: false } },
    spec: specOf(
      Sandbox.builder("dev_1").disk("1G", { path: "/srv/disk" }).env("A", "1").user("nobody")
        .network((network) =>
          network.publish({ hostPort: 8080, guestPort: 80, protocol: "tcp" }).publish({
            bind: "127.0.0.2",
            hostPort: 53,
            guestPort: 53,
            protocol: "udp",
          })
        ).build(),
    ),
  };
  const { name, directory, life, spec } = forkOf(record, "try");
  expect({ name, directory, life }).toEqual({ name: "try", directory: "/srv", life: record.life });
  expect(spec).toEqual({
    ...record.spec,
    hostname: "try",
    disk: { bytes: 2 ** 30 },
    publish: [
      { hostPort: 0, guestPort: 80, protocol: "tcp" },
      { bind: "127.0.0.2", hostPort: 0, guestPort: 53, protocol: "udp" },
    ],
  });
  const named = { ...record, spec: { ...record.spec, hostname: "box.example" } };
  expect(forkOf(named, "try").spec.hostname).toBe("box.example");
});

/**
 * Mounts by what programs do in them: tar and cp as root, a single file, the habits of container tools.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ordinaryUser } from "../support/ordinary_user.ts";
import { openWorld, SBX, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ bare: true });
});
afterAll(() => world?.[Symbol.asyncDispose]());

function directory(name: string): string {
  const path = join(world.scratch, name);
  mkdirSync(path);
  return path;
}

const sh = (script: string) => ["--", "sh", "-c", script];

test(
  "tar, cp and chown by root work in an ordinary user's mount, and change no owner on the host",
  async () => {
    const work = directory("owned");
    const cache = directory("cache");
    const root = process.getuid?.() === 0;
    const user = root ? 4321 : process.getuid?.() ?? 0;
    if (root) { for (const path of [work, cache]) chownSync(path, user, user); }
    const script = [
      "set -e",
      "mkdir /tmp/a; echo 1 > /tmp/a/f; chown -R 7:8 /tmp/a; stat -c %u:%g /tmp/a/f",
      "tar -C /tmp -cf /tmp/a.tar a; tar -xf /tmp/a.tar; cp -a /tmp/a b",
      "chown 7:8 a/f; chgrp 9 a; stat -c %u a/f b/f",
    ].join("\n");
    const run = await world.run([
      ...ordinaryUser(user),
      "env",
      `HOME=${cache}`,
      `XDG_CACHE_HOME=${cache}`,
      ...[SBX, "run", "-q", "--no-net", "-v", `${work}:/work`, "-w", "/work", ...sh(script)],
    ]);
    expect(run).toMatchObject({ status: 0, stderr: "", stdout: `7:8\n${user}\n${user}\n` });
    for (const name of ["a", "a/f", "b/f"]) expect(statSync(join(work, name)).uid).toBe(user);
  },
  120_000,
);

test(
  "a single file is mounted read-only, without its neighbours, and as it was at the start",
  async () => {
    const place = directory("single");
    const work = directory("around");
    writeFileSync(join(place, "f"), "content\n");
    writeFileSync(join(place, "neighbour"), "kept back\n");
    writeFileSync(join(place, "tool"), "#!/bin/sh\necho ran\n");
    chmodSync(join(place, "tool"), 0o755);
    const script = [
      "cat /etc/f /work/in; tool; ls /run/sbx",
      "(echo x > /etc/f) 2>/dev/null && echo written; rm /etc/f 2>/dev/null && echo removed",
      "grep -rl 'kept back' /etc /run /work 2>/dev/null; true",
    ].join("\n");
    const file = (name: string, at: string) => ["-v", `${join(place, name)}:${at}:ro,z`];
    const run = await world.sbx([
      ...["run", "-q", "--no-net", "-v", `${work}:/work`],
      ...[...file("f", "/etc/f"), ...file("f", "/work/in"), ...file("tool", "/usr/local/bin/tool")],
      ...sh(script),
    ]);
    expect(run).toMatchObject({ status: 0, stdout: "content\ncontent\nran\n" });
    expect(readFileSync(join(place, "f"), "utf8")).toBe("content\n");
    // On the host there is only the place that it was mounted on.
    expect(readFileSync(join(work, "in"), "utf8")).toBe("");
  },
  120_000,
);

test("a file cannot be mounted writable, and the hint says what can", async () => {
  const place = directory("refused");
  writeFileSync(join(place, "f"), "content\n");
  const mounted = (mode: string) =>
    world.sbx([
      "run",
      "--no-net",
      "-v",
      `${join(place, "f")}:/etc/f${mode}`,
      "--",
      "cat",
      "/etc/f",
    ]);
  const refused = await mounted("");
  expect(refused).toMatchObject({ status: 2, stdout: "" });
  expect(refused.stderr).toContain("a single file can only be mounted read-only");
  expect(refused.stderr).toContain("hint: mount it with :ro, or the directory that holds it");
  expect(await mounted(":ro")).toMatchObject({ status: 0, stdout: "content\n" });
}, 120_000);

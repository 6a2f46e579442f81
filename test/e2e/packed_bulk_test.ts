/**
 * Much at once, and much in one piece, through the library as it is published, under each runtime that it is for. The
 * suite does it with little; SBX_WHOLE_LIBRARY (scripts/test-library) with as much as it is to hold.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { forgetSandboxes, installPacked, RUNTIMES } from "../support/packed.ts";
import { run } from "../support/process.ts";
import { ROOT } from "../support/world.ts";

const WHOLE = process.env.SBX_WHOLE_LIBRARY !== undefined;
const EXECS = WHOLE ? 64 : 16;
const MEBIBYTES = WHOLE ? 1_024 : 64;
const FILES = WHOLE ? 10_000 : 500;
/** Of each fifty, one is a link. */
const REGULAR = FILES * 49 / 50;

/** Of the guest's disk; without one it writes to its memory. */
const DISK_BYTES = WHOLE ? 3 * 2 ** 30 : 0;

/** What a program may take up more than when it began, however large the file is. */
const MOST_GROWTH_MIB = 256;

const PROGRAM = `
import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { NetworkPolicy, Sandbox } from "@sbx-dev/sbx";

const [execs, mebibytes, files, disk] = process.argv.slice(2).map(Number);
const said = {};
const seconds = {};
const timed = async (name, work) => {
  const began = performance.now();
  said[name] = await work();
  seconds[name] = ((performance.now() - began) / 1000).toFixed(1);
};
const outputOf = async (sandbox, script) =>
  (await sandbox.exec("sh", ["-c", script], { stdin: false }).output()).stdout.trim();

/** So many commands at once, each with an input, outputs and a status of its own. */
async function manyAtOnce(sandbox) {
  const one = async (number) => {
    const child = sandbox.exec("sh", ["-c", "cat; echo err $0 >&2; exit $0", String(number % 200)]);
    const input = ("line of " + number + "\\n").repeat(2_000);
    const writer = child.stdin.getWriter();
    void writer.write(new TextEncoder().encode(input)).then(() => writer.close());
    const { code, stdout, stderr } = await child.output();
    return code === number % 200 && stdout === input && stderr === "err " + number % 200 + "\\n";
  };
  const held = await Promise.all(Array.from({ length: execs }, (_, number) => one(number)));
  return held.filter(Boolean).length;
}

/** Bytes that repeat nowhere within a piece, and differ from piece to piece. */
function* pieces() {
  const bytes = new Uint32Array(1 << 18);
  for (let piece = 0; piece < mebibytes; piece++) {
    for (let at = 0; at < bytes.length; at++) bytes[at] = Math.imul(at + piece * 7919, 2654435761) ^ (at >>> 3);
    yield new Uint8Array(bytes.buffer.slice(0));
  }
}

async function hashOf(stream) {
  const hash = createHash("sha256");
  for await (const bytes of stream) hash.update(bytes);
  return hash.digest("hex");
}

function makeTree(root) {
  for (let number = 0; number < files; number++) {
    const directory = root + "/" + number % 100;
    if (number < 100) mkdirSync(directory, { recursive: true });
    if (number % 50 === 49) symlinkSync("../0/ü 0", directory + "/link " + number);
    else writeFileSync(directory + "/ü " + number, "content of " + number, { mode: number % 2 ? 0o600 : 0o755 });
  }
}

/** Names, kinds, modes, targets and contents of a tree, as one digest. */
const DIGEST = "find . -printf '%p %y %m %l\\\\n' | LC_ALL=C sort | sha256sum; " +
  "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum; find . ! -type d | wc -l";
const digestHere = (root) => execFileSync("sh", ["-c", "cd " + root + " && " + DIGEST], { encoding: "utf8" }).trim();

const small = Sandbox.builder().memory(512).network((n) => n.policy(NetworkPolicy.none()));
const builder = disk > 0 ? small.disk(disk) : small;
const own = await builder.create();
try {
  await timed("own execs", () => manyAtOnce(own));

  const before = process.memoryUsage().rss;
  let peak = before;
  const look = setInterval(() => { peak = Math.max(peak, process.memoryUsage().rss); }, 50);
  const hash = createHash("sha256");
  await timed("up", async () => {
    const writer = (await own.fs.writeStream("/root/big")).getWriter();
    for (const piece of pieces()) {
      hash.update(piece);
      await writer.write(piece);
    }
    await writer.close();
    return (await own.fs.stat("/root/big")).size === mebibytes << 20;
  });
  const digest = hash.digest("hex");
  await timed("up has the hash", async () => (await outputOf(own, "sha256sum < /root/big")).startsWith(digest));
  await timed("down has the hash", async () => await hashOf(await own.fs.readStream("/root/big")) === digest);
  await timed("copied down has the hash", async () => {
    await own.fs.copyToHost("/root/big", "big");
    await own.fs.remove("/root/big");
    return await hashOf(createReadStream("big")) === digest;
  });
  await timed("copied up has the hash", async () => {
    await own.fs.copyFromHost("big", "/root/big");
    rmSync("big");
    return (await outputOf(own, "sha256sum < /root/big")).startsWith(digest);
  });
  clearInterval(look);
  said.grown = (peak - before) >> 20;
  await own.fs.remove("/root/big");

  makeTree("tree");
  const wanted = digestHere("tree");
  await timed("tree up", async () => {
    const { files: copied } = await own.fs.copyFromHost("tree", "/root");
    return [copied, await outputOf(own, "cd /root/tree && " + DIGEST) === wanted];
  });
  await timed("tree down", async () => {
    const { files: copied } = await own.fs.copyToHost("/root/tree", "back");
    return [copied, digestHere("back") === wanted];
  });
  said.tree = Number(wanted.split("\\n").at(-1));
  for (const directory of ["tree", "back"]) rmSync(directory, { recursive: true });
} finally {
  await own.stop();
}

const named = await builder.name("bulk").createDetached();
await timed("named execs", () => manyAtOnce(named));
await named.remove({ force: true });
console.log(JSON.stringify({ said, seconds }));
`;

let scratch: string;
let fresh: string;
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "sbx-bulk-"));
  fresh = join(scratch, "fresh");
  mkdirSync(fresh);
  await installPacked(fresh);
  writeFileSync(join(fresh, "bulk.mjs"), PROGRAM);
}, 600_000);
afterEach(() => forgetSandboxes(env()), 60_000);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const env = () => ({
  XDG_CACHE_HOME: join(ROOT, ".cache/test"),
  XDG_STATE_HOME: join(scratch, "state"),
  NO_COLOR: "1",
});

describe.each(Object.keys(RUNTIMES))("under %s", (name) => {
  const limit = WHOLE ? 1_800 : 250;
  test(
    `${EXECS} commands at once, ${MEBIBYTES} MiB each way and ${FILES} files arrive as they were`,
    async () => {
      const sizes = [EXECS, MEBIBYTES, FILES, DISK_BYTES].map(String);
      const argv = [...RUNTIMES[name] ?? [], "bulk.mjs", ...sizes];
      const { status, stdout, stderr } = await run(argv, { cwd: fresh, env: env(), limit });
      expect([status, stderr]).toEqual([0, ""]);
      const { said: { grown, ...said }, seconds } = JSON.parse(stdout);
      if (WHOLE) {
        process.stderr.write(`${name}: ${JSON.stringify(seconds)} s, ${grown} MiB grown\n`);
      }
      expect(said).toEqual({
        "own execs": EXECS,
        "named execs": EXECS,
        "up": true,
        "up has the hash": true,
        "down has the hash": true,
        "copied down has the hash": true,
        "copied up has the hash": true,
        "tree": FILES,
        "tree up": [REGULAR, true],
        "tree down": [REGULAR, true],
      });
      expect(grown).toBeLessThan(MOST_GROWTH_MIB);
    },
    limit * 1_000,
  );
});

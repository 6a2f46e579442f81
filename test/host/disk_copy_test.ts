/** Copies of sparse files on a real disk: the same bytes, and no room for what is empty. */
import { afterAll, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { copySparse } from "../../lib/host/disk_copy.ts";
import { copyDisk, openStill } from "../../lib/host/disk_file.ts";

const MIB = 2 ** 20;
const place = mkdtempSync(join(tmpdir(), "sbx-copy-"));
afterAll(() => rmSync(place, { recursive: true, force: true }));

/** What a file has: pieces of random bytes at offsets, and zeros that take up room. */
interface Layout {
  readonly size: number;
  readonly pieces: readonly (readonly [at: number, bytes: Uint8Array])[];
}

const LAYOUTS: Readonly<Record<string, Layout>> = {
  "nothing": { size: 0, pieces: [] },
  "a hole alone": { size: 300 * MIB, pieces: [] },
  "its beginning alone": { size: 64 * MIB, pieces: [[0, randomBytes(5)]] },
  "its last byte alone": { size: 64 * MIB + 7, pieces: [[64 * MIB + 6, randomBytes(1)]] },
  "pieces across chunks": {
    size: 200 * MIB,
    pieces: [[4 * MIB - 3, randomBytes(9 * MIB)], [100 * MIB + 1, randomBytes(70_001)]],
  },
  "zeros that were written": { size: 32 * MIB, pieces: [[MIB, new Uint8Array(20 * MIB)]] },
};

let number = 0;
function made({ size, pieces }: Layout): number {
  const fd = openSync(join(place, String(number++)), "wx+", 0o600);
  ftruncateSync(fd, size);
  for (const [at, bytes] of pieces) {
    for (let done = 0; done < bytes.length;) {
      done += writeSync(fd, bytes, done, bytes.length - done, at + done);
    }
  }
  return fd;
}

const digest = (fd: number) =>
  createHash("sha256").update(readFileSync(`/proc/self/fd/${fd}`)).digest("hex");
const taken = (fd: number) => fstatSync(fd).blocks * 512;

test.each(Object.entries(LAYOUTS))("%s", async (name, layout) => {
  const from = made(layout);
  const to = openSync(join(place, String(number++)), "wx+", 0o600);
  await copySparse(from, to, { bytes: layout.size });
  expect(fstatSync(to).size).toBe(layout.size);
  expect(digest(to)).toBe(digest(from));
  // A file system that shares blocks counts them for both.
  const most = name === "zeros that were written" ? taken(from) : taken(from) + MIB;
  expect(taken(to)).toBeLessThanOrEqual(most);
  closeSync(from);
  closeSync(to);
});

test("a larger copy is empty behind the original, and a copy that is given up ends", async () => {
  const from = made({ size: 64 * MIB, pieces: [[0, randomBytes(40 * MIB)]] });
  const to = openSync(join(place, String(number++)), "wx+", 0o600);
  await copySparse(from, to, { bytes: 1000 * MIB });
  expect(fstatSync(to).size).toBe(1000 * MIB);
  expect(taken(to)).toBeLessThan(42 * MIB);
  const path = join(place, "given-up");
  const given = await copyDisk(from, path, { bytes: MIB, signal: AbortSignal.abort("enough") })
    .then(() => "copied", (reason) => reason);
  expect(given).toBe("enough");
  closeSync(from);
  closeSync(to);
});

test("whether there is room is asked once, before anything is taken", async () => {
  const from = made({ size: MIB, pieces: [[0, randomBytes(MIB)]] });
  const to = openSync(join(place, String(number++)), "wx+", 0o600);
  let asked = 0;
  const refusing = copySparse(from, to, { bytes: MIB }, () => {
    asked++;
    throw new Error("no room");
  }).then(() => "copied", (error: Error) => error.message);
  // Where blocks are shared nothing is taken, and nobody is asked.
  expect([await refusing, asked, taken(to)]).toEqual(
    asked === 0 ? ["copied", 0, taken(from)] : ["no room", 1, 0],
  );
  closeSync(from);
  closeSync(to);
});

test("only a file that is ours alone is read as a disk", () => {
  const path = join(place, "disk");
  closeSync(openSync(path, "wx", 0o644));
  expect(() => openStill(path)).toThrow("others can get at it");
  expect(() => openStill(place)).toThrow("it is not a regular file");
  expect(() => openStill(join(place, "none"))).toThrow("no such file");
});

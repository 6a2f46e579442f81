import { afterAll, beforeAll, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { goEnvironment } from "../../scripts/binary/target.ts";
import { signAdHoc } from "../../scripts/signature/sign.ts";
import { verifySignature } from "../../scripts/signature/verify.ts";
import { run } from "../support/process.ts";

/** netstack for Apple's processors, which Go's linker has signed. */
let byGo: Buffer;
const directory = mkdtempSync(join(tmpdir(), "sbx-signature-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

beforeAll(async () => {
  const out = join(directory, "netstack");
  const { status, stderr } = await run(["go", "build", "-ldflags=-s -w", "-o", out, "."], {
    cwd: join(process.cwd(), "vendor/netstack"),
    env: goEnvironment({ os: "darwin", machine: "arm64" }),
    limit: 300,
  });
  expect([status, stderr]).toEqual([0, ""]);
  byGo = readFileSync(out);
}, 300_000);

test("a signature of somebody else's making is found good, page by page", () => {
  const { identifier, isAdHoc, pages, spoilt } = verifySignature(byGo);
  expect({ identifier, isAdHoc, spoilt }).toEqual({
    identifier: "a.out",
    isAdHoc: true,
    spoilt: [],
  });
  expect(pages).toBeGreaterThan(500);
});

test("a file signed here has a good signature of its own in the place of the old one", () => {
  const signed = signAdHoc(byGo, "sbx");
  const verified = verifySignature(signed);
  expect(verified).toMatchObject({ identifier: "sbx", isAdHoc: true, spoilt: [] });
  expect(verified.pages).toBe(verifySignature(byGo).pages);
  expect(signAdHoc(signed, "sbx").equals(signed)).toBe(true);
});

test("a changed byte spoils its page and no other, wherever it is", () => {
  const signed = signAdHoc(byGo, "sbx");
  const { pages } = verifySignature(signed);
  for (const page of [1, pages >> 1, pages - 1]) {
    const changed = Buffer.from(signed);
    changed[page * 4096] = ~(changed[page * 4096] ?? 0);
    expect(verifySignature(changed).spoilt).toEqual([page]);
  }
});

test("what is longer than its signature says, as what Bun makes for Intel's processors, is not signed", () => {
  const { length } = byGo;
  const longer = Buffer.concat([byGo.subarray(0, length - 16), Buffer.alloc(32)]);
  expect(() => signAdHoc(longer, "sbx")).toThrow("something stands behind its signature");
  const claim = Buffer.from(byGo);
  const at = claim.lastIndexOf(Buffer.from("fade0c02", "hex"));
  claim.writeUInt32BE(claim.readUInt32BE(at + 32) - 4096, at + 32);
  expect(() => verifySignature(claim)).toThrow("it is of");
});

test("what is no Mach-O file is neither signed nor found good", () => {
  for (const bytes of ["", "\x7fELF".padEnd(64, "\0"), "\xcf\xfa\xed\xfe".padEnd(64, "\0")]) {
    const file = Buffer.from(bytes, "latin1");
    expect(() => signAdHoc(file, "sbx")).toThrow("Cannot read the file");
    expect(() => verifySignature(file)).toThrow("Cannot read the file");
  }
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { nssEntries } from "../../lib/guest/root/nss_database.ts";
import { makeDatabase } from "../../lib/host/sqlite.ts";
import { makeAuthority } from "../../lib/tls/authority/authority.ts";
import { Leaves } from "../../lib/tls/authority/leaves.ts";
import { run } from "../support/process.ts";

let home = "";
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "sbx-nss-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const certutil = (directory: string, ...args: readonly string[]) =>
  run(["certutil", "-d", `sql:${directory}`, ...args]);

test("NSS trusts the authority for servers and for nothing else, and goes on to use the database", async () => {
  const [ours, other] = [await makeAuthority(), await makeAuthority()];
  const entries = await nssEntries([ours.authority.certificateDer], "/root", makeDatabase);
  const directory = join(home, "nssdb");
  mkdirSync(directory);
  for (const { path, data = new Uint8Array() } of entries.slice(0, 2)) {
    writeFileSync(join(directory, basename(path)), data);
  }
  const { stdout } = await certutil(directory, "-L");
  expect(stdout).toMatch(/^sbx authority 0 +C,, +$/m);
  for (const [name, { authority }] of Object.entries({ ours, other })) {
    const path = join(home, `${name}.pem`);
    writeFileSync(path, (await new Leaves(authority).leafFor("host.example")).cert);
    const added = await certutil(directory, "-A", "-t", ",,", "-n", name, "-i", path);
    expect(added.status).toBe(0);
  }
  expect((await certutil(directory, "-V", "-u", "V", "-n", "ours")).stdout).toContain("is valid");
  expect((await certutil(directory, "-V", "-u", "V", "-n", "other")).stdout).toContain(
    "is invalid",
  );
  // Mail is not what the authority is for.
  expect((await certutil(directory, "-V", "-u", "S", "-n", "ours")).stdout).toContain("is invalid");
});

test("a guest whose TLS is left alone gets no database", async () => {
  const make = () => Promise.reject(new Error("nobody asks for one"));
  expect(await nssEntries([], "/root", make)).toEqual([]);
});

test("the databases hold no key", async () => {
  const { authority, keyPem } = await makeAuthority();
  const key = Buffer.from(keyPem.replace(/-----[^-]*-----/g, ""), "base64").subarray(36, 68);
  for (const { data } of await nssEntries([authority.certificateDer], "/root", makeDatabase)) {
    expect(Buffer.from(data ?? []).includes(key)).toBe(false);
  }
});

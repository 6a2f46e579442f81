import { afterEach, beforeEach, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type FreshAuthority, makeAuthority } from "../../lib/tls/authority/authority.ts";
import { authorityFor } from "../../lib/tls/authority/source.ts";
import { authorityPath } from "../../lib/tls/authority/spec.ts";
import { keepAuthority, keptAuthority, removeAuthority } from "../../lib/tls/authority/store.ts";

let home = "";
let path = "";

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "sbx-store-"));
  path = authorityPath(home);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const makeMany = (count: number) =>
  Promise.all(Array.from({ length: count }, () => makeAuthority()));

function subjectOf({ authority }: FreshAuthority): string {
  return new X509Certificate(authority.certificatePem).subject;
}

test("of many first starts at once exactly one keeps its authority, whole", async () => {
  const all = await makeMany(20);
  const outcomes = await Promise.allSettled(all.map((fresh) => keepAuthority(path, fresh, false)));
  const kept = outcomes.findIndex(({ status }) => status === "fulfilled");
  const refused = outcomes.filter(({ status }) => status === "rejected");
  expect(refused.length).toBe(19);
  for (const outcome of refused) expect(outcome).toMatchObject({ reason: { code: "CA_EXISTS" } });
  // Reading it checks that the key belongs to the certificate.
  const authority = await keptAuthority(path);
  expect(authority?.certificatePem).toBe(all[kept]?.authority.certificatePem ?? "none");
  expect(readdirSync(dirname(path))).toEqual(["authority.pem"]);
});

test("of many rotations at once one is left, and every reader sees a whole one", async () => {
  const all = await makeMany(20);
  await keepAuthority(path, await makeAuthority(), false);
  const names = new Set([...all.map(subjectOf)]);
  const reads = await Promise.all(all.flatMap((fresh) => [
    keepAuthority(path, fresh, true).then(() => null),
    keptAuthority(path),
  ]));
  expect(reads.filter((each) => each !== null).length).toBe(20);
  const last = await keptAuthority(path);
  expect(names.has(new X509Certificate(last?.certificatePem ?? "").subject)).toBe(true);
  expect(readdirSync(dirname(path))).toEqual(["authority.pem"]);
});

test("a link in the place of the authority is not followed", async () => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const elsewhere = join(home, "elsewhere.pem");
  const { authority, keyPem } = await makeAuthority();
  writeFileSync(elsewhere, authority.certificatePem + keyPem, { mode: 0o600 });
  symlinkSync(elsewhere, path);
  await expect(keptAuthority(path)).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
  await expect(keepAuthority(path, await makeAuthority(), false)).rejects.toMatchObject({
    code: "CA_EXISTS",
  });
});

test("an authority that expired is an error and not a reason to make another", async () => {
  await keepAuthority(path, await makeAuthority({ days: 1 }, Date.now() - 2 * 86_400_000), false);
  await expect(authorityFor({}, home)).rejects.toMatchObject({
    code: "TLS_INVALID",
    message: expect.stringMatching(/authority.pem: it expired on /),
  });
});

test("a sandbox uses the named authority, else the kept one, else one of its own", async () => {
  const [named, kept] = [await makeAuthority(), await makeAuthority()];
  const files = { cert: join(home, "named.crt"), key: join(home, "named.key") };
  writeFileSync(files.cert, named.authority.certificatePem);
  writeFileSync(files.key, named.keyPem);
  const own = [await authorityFor({}, home), await authorityFor({}, home)];
  expect(own[0]?.certificatePem).not.toBe(own[1]?.certificatePem ?? "");
  expect(readdirSync(home).sort()).toEqual(["named.crt", "named.key"]);
  await keepAuthority(path, kept, false);
  expect((await authorityFor({}, home)).certificatePem).toBe(kept.authority.certificatePem);
  expect((await authorityFor({ authority: files }, home)).certificatePem).toBe(
    named.authority.certificatePem,
  );
  await expect(authorityFor({ authority: { ...files, key: join(home, "none") } }, home)).rejects
    .toMatchObject({ code: "FILE_UNREADABLE" });
  expect(await removeAuthority(path)).toBe(true);
  expect(await removeAuthority(path)).toBe(false);
});

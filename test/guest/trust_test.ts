import { beforeAll, expect, test } from "bun:test";
import { createHash, X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";
import { Buffer } from "node:buffer";
import { trustStore } from "../../lib/guest/root/keystore.ts";
import type { TarEntry } from "../../lib/guest/root/tar.ts";
import {
  AUTHORITY,
  BUNDLE,
  bytesOf,
  TRUST_VARIABLES,
  trustEntries,
} from "../../lib/guest/root/trust.ts";
import { findTrustStores } from "../../lib/guest/root/trust_stores.ts";
import { type FreshAuthority, makeAuthority } from "../../lib/tls/authority/authority.ts";

const STORES = findTrustStores();

let fresh: FreshAuthority;
beforeAll(async () => {
  fresh = await makeAuthority();
});

function textAt(entries: readonly TarEntry[], path: string): string {
  return Buffer.from(entries.find((entry) => entry.path === path)?.data ?? []).toString();
}

const certificatesIn = (text: string) => text.match(/-----BEGIN CERTIFICATE/g)?.length ?? 0;

test("the bundle has every root once and the authority, and only that knows the authority", async () => {
  const roots = [...rootCertificates, `\n${rootCertificates[0]}\n`];
  const without = await trustEntries({ roots }, STORES);
  expect(certificatesIn(textAt(without, BUNDLE))).toBe(rootCertificates.length);
  expect(without.some(({ path }) => /sbx|firefox|chrom/.test(path))).toBe(false);
  const entries = await trustEntries(
    { roots, authority: [fresh.authority.certificatePem] },
    STORES,
  );
  expect(certificatesIn(textAt(entries, BUNDLE))).toBe(rootCertificates.length + 1);
  expect(textAt(entries, AUTHORITY)).toBe(fresh.authority.certificatePem);
});

test("no entry has a key, whatever it is for", async () => {
  const entries = await trustEntries(
    { roots: [], authority: [fresh.authority.certificatePem] },
    STORES,
  );
  const key = bytesOf(fresh.keyPem);
  for (const { data = new Uint8Array() } of entries) {
    expect(Buffer.from(data).toString("latin1")).not.toContain("PRIVATE KEY");
    // The private number itself, wherever it might stand.
    expect(Buffer.from(data).includes(key.subarray(36, 68))).toBe(false);
  }
});

test("browsers are told by policy where the authority is", async () => {
  const entries = await trustEntries(
    { roots: [], authority: [fresh.authority.certificatePem] },
    STORES,
  );
  const chromium = JSON.parse(textAt(entries, "/etc/chromium/policies/managed/sbx.json"));
  expect(new X509Certificate(Buffer.from(chromium.CACertificates[0], "base64")).fingerprint256)
    .toBe(new X509Certificate(fresh.authority.certificatePem).fingerprint256);
  const firefox = JSON.parse(textAt(entries, "/etc/firefox/policies/policies.json"));
  expect(firefox.policies.Certificates.Install).toEqual([AUTHORITY]);
});

test("every variable names a file that is there", async () => {
  const entries = await trustEntries(
    { roots: [], authority: [fresh.authority.certificatePem] },
    STORES,
  );
  const paths = new Set(entries.map(({ path }) => path));
  for (const path of Object.values(TRUST_VARIABLES)) expect(paths).toContain(path);
});

test("Java's store is of the published layout, with its keyed digest at the end", () => {
  const store = Buffer.from(trustStore([Buffer.from("one"), Buffer.from("second")]));
  const content = store.subarray(0, -20);
  expect(content.toString("hex")).toBe(
    [
      "feedfeed",
      "00000002",
      "00000002",
      "00000002",
      "0006" + Buffer.from("root-0").toString("hex"),
      "0".repeat(16),
      "0005" + Buffer.from("X.509").toString("hex"),
      "00000003" + Buffer.from("one").toString("hex"),
      "00000002",
      "0006" + Buffer.from("root-1").toString("hex"),
      "0".repeat(16),
      "0005" + Buffer.from("X.509").toString("hex"),
      "00000006" + Buffer.from("second").toString("hex"),
    ].join(""),
  );
  const password = Buffer.from("\0c\0h\0a\0n\0g\0e\0i\0t", "latin1");
  expect(store.subarray(-20)).toEqual(
    createHash("sha1").update(password).update("Mighty Aphrodite").update(content).digest(),
  );
});

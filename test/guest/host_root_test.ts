import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hostRoot } from "../../lib/guest/root/host_root.ts";
import { findTrustStores } from "../../lib/guest/root/trust_stores.ts";

const place = mkdtempSync(join(tmpdir(), "sbx-root-"));
afterAll(() => rmSync(place, { recursive: true }));

test("this machine's root shares its tools, and of /etc nothing that is the user's", () => {
  const { shares, home, env, entries } = hostRoot();
  expect(shares).toContainEqual({ path: "/usr", at: "/usr" });
  for (const { path } of shares) expect(path).toMatch(/^\/(usr|opt|var\/lib\/dpkg)$/);
  expect(new Set(shares.map(({ at }) => at)).size).toBe(shares.length);
  expect(home).toBe("/root");
  expect(env["PATH"]).toContain("/usr/bin");
  const paths = entries().map(({ path }) => path);
  expect(paths).toContain("/etc/nsswitch.conf");
  expect(paths.filter((path) => /shadow-|\/ssh\/|ssl\/private|resolv\.conf/.test(path))).toEqual(
    [],
  );
});

test("dpkg's records are shared, and its locks are the guest's, where dpkg is at home", () => {
  const { shares, entries } = hostRoot();
  const locks = entries().filter(({ path }) => path.startsWith("/var/lib/dpkg/"));
  const isHome = existsSync("/var/lib/dpkg/status");
  expect(shares.some(({ path }) => path === "/var/lib/dpkg")).toBe(isHome);
  expect(locks.length > 0).toBe(isHome);
});

test("a tree without Java gets no store for it, and one with Java one for all of them", () => {
  expect(findTrustStores(join(place, "nothing")).java).toBeUndefined();
  const distribution = join(place, "usr/lib/jvm/distribution/lib/security");
  const own = join(place, "opt/own/lib/security");
  for (const directory of [distribution, own, join(place, "opt/no-java")]) {
    mkdirSync(directory, { recursive: true });
  }
  symlinkSync("/etc/ssl/certs/java/cacerts", join(distribution, "cacerts"));
  writeFileSync(join(own, "cacerts"), "");
  expect(findTrustStores(place).java).toEqual({
    store: "/etc/ssl/certs/java/cacerts",
    links: ["/etc/pki/java/cacerts", "/opt/own/lib/security/cacerts"],
  });
});

test("OpenSSL's own directory gets the bundle where there is one", () => {
  const own = "/usr/lib/ssl/cert.pem";
  expect(findTrustStores(place).bundleLinks).not.toContain(own);
  mkdirSync(join(place, "usr/lib/ssl"), { recursive: true });
  expect(findTrustStores(place).bundleLinks).toContain(own);
});

import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import type { AddressInfo } from "node:net";
import { type Authority, makeAuthority } from "../../lib/tls/authority/authority.ts";
import { Leaves } from "../../lib/tls/authority/leaves.ts";
import { run } from "../support/process.ts";

const LONG = `${"a".repeat(60)}.${"b".repeat(60)}.example`;
const HOSTS = ["example.com", LONG, "xn--bcher-kva.example", "192.0.2.7", "2001:db8::7"];
const DAY_MS = 86_400_000;

let directory = "";
let authority: Authority;
let leaves: Leaves;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sbx-leaves-"));
  ({ authority } = await makeAuthority());
  leaves = new Leaves(authority);
  writeFileSync(join(directory, "ca.pem"), authority.certificatePem);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("OpenSSL's strict check accepts a leaf for", () => {
  for (const host of HOSTS) {
    test(host, async () => {
      const path = join(directory, "leaf.pem");
      writeFileSync(path, (await leaves.leafFor(host)).cert);
      const name = /^[0-9a-f.:]+$/.test(host) ? "-verify_ip" : "-verify_hostname";
      const flags = ["-x509_strict", "-purpose", "sslserver", name, host];
      const argv = ["openssl", "verify", ...flags, "-CAfile", join(directory, "ca.pem"), path];
      expect(await run(argv)).toMatchObject({ status: 0, stdout: `${path}: OK\n` });
    });
  }
});

test("GnuTLS's check accepts the chain, for names and for addresses", async () => {
  for (const host of HOSTS) {
    const path = join(directory, "gnutls.pem");
    writeFileSync(path, (await leaves.leafFor(host)).cert);
    const trust = ["--load-ca-certificate", join(directory, "ca.pem"), "--verify-profile=high"];
    // certtool takes an address, too, where it says "hostname".
    const flags = [...trust, `--verify-hostname=${host}`];
    const seen = await run(["certtool", "--verify", "--infile", path, ...flags]);
    expect(`${seen.status} ${seen.stdout}`).toMatch(/^0 [^]*The certificate is trusted/);
  }
});

test("a leaf says what clients look for, and no more", async () => {
  const ca = new x509.X509Certificate(authority.certificatePem);
  const caKey = ca.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
  expect(ca.getExtension(x509.BasicConstraintsExtension)).toMatchObject({
    ca: true,
    pathLength: 0,
    critical: true,
  });
  for (const host of HOSTS) {
    const leaf = new x509.X509Certificate((await leaves.leafFor(host)).cert);
    const names = leaf.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? [];
    expect(names.map(({ value }) => value)).toEqual([host]);
    expect(leaf.getExtension(x509.BasicConstraintsExtension)).toMatchObject({ ca: false });
    expect(leaf.getExtension(x509.ExtendedKeyUsageExtension)?.usages).toEqual([
      x509.ExtendedKeyUsage.serverAuth,
    ]);
    expect(leaf.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId).toBe(caKey);
    expect(leaf.serialNumber).toMatch(/^[4-7][0-9a-f]{31}$/);
    expect(Date.now() - leaf.notBefore.getTime()).toBeGreaterThanOrEqual(5 * 60_000);
    expect(leaf.notAfter.getTime() - leaf.notBefore.getTime()).toBeLessThan(398 * DAY_MS);
    expect(await leaf.verify({ publicKey: ca })).toBe(true);
  }
});

describe("a TLS server with a leaf is believed by", () => {
  const clients: Record<string, (ca: string, port: number) => readonly string[]> = {
    "Python under strict rules": (ca, port) => ["python3", "-c", PYTHON, ca, String(port)],
    curl: (ca, port) => [
      ...["curl", "-sS", "--cacert", ca, "--resolve", `example.com:${port}:127.0.0.1`],
      `https://example.com:${port}/`,
    ],
    "openssl s_client": (ca, port) => [
      ...["openssl", "s_client", "-connect", `127.0.0.1:${port}`, "-servername", "example.com"],
      ...["-verify_hostname", "example.com", "-x509_strict", "-verify_return_error"],
      ...["-CAfile", ca, "-quiet"],
    ],
  };
  for (const [client, argv] of Object.entries(clients)) {
    test(client, async () => {
      const identity = await leaves.leafFor("example.com");
      const server = createServer(identity, (socket) => {
        socket.on("error", () => {});
        socket.end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      try {
        const { port } = server.address() as AddressInfo;
        const seen = await run(argv(join(directory, "ca.pem"), port));
        expect(`${seen.status} ${seen.stderr} ${seen.stdout}`).toMatch(/^0 [^]*hello$/);
      } finally {
        server.close();
      }
    });
  }
});

const PYTHON = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
with socket.create_connection(("127.0.0.1", int(sys.argv[2]))) as plain:
    with context.wrap_socket(plain, server_hostname="example.com") as secure:
        while data := secure.recv(4096):
            print(data.decode(), end="")
`;

test("a host asked for many times at once gets one certificate", async () => {
  const fresh = new Leaves(authority);
  const all = await Promise.all(Array.from({ length: 50 }, () => fresh.leafFor("one.example")));
  expect(new Set(all.map(({ cert }) => cert)).size).toBe(1);
  expect(fresh.minted).toBe(1);
});

test("more names than are kept are forgotten again, and the ones in use are not", async () => {
  const fresh = new Leaves(authority);
  const first = await fresh.leafFor("kept.example");
  for (let index = 0; index < 1500; index++) {
    await fresh.leafFor(`x${index}.example`);
    await fresh.leafFor("kept.example");
  }
  expect(await fresh.leafFor("kept.example")).toBe(first);
  expect(fresh.minted).toBe(1501);
  await fresh.leafFor("x0.example");
  expect(fresh.minted).toBe(1502);
});

test("a flood of names keeps only itself waiting", async () => {
  const fresh = new Leaves(authority);
  const order: string[] = [];
  const ask = async (host: string) => {
    await fresh.leafFor(host);
    order.push(host);
  };
  const flood = Array.from({ length: 500 }, (_, index) => ask(`x${index}.example`));
  const asked = ask("wanted.example");
  await Promise.all([...flood, asked]);
  // Behind those that were being made already, and those asked for since: none.
  expect(order.indexOf("wanted.example")).toBeLessThan(10);
  expect(order.length).toBe(501);
});

test("a leaf is made anew before it expires, and never outlives its authority", async () => {
  let now = Date.now();
  const { authority: short } = await makeAuthority({ days: 3 });
  const fresh = new Leaves(short, () => now);
  const expiry = async () => new x509.X509Certificate((await fresh.leafFor("a.b")).cert).notAfter;
  const seconds = (date: Date) => Math.floor(date.getTime() / 1000);
  expect(seconds(await expiry())).toBe(seconds(short.notAfter));
  now += 2 * DAY_MS;
  await expiry();
  expect(fresh.minted).toBe(1);
  now += 0.9 * DAY_MS;
  expect(seconds(await expiry())).toBe(seconds(short.notAfter));
  expect(fresh.minted).toBe(2);
});

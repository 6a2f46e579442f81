/** Addresses as Go's netip reads them: two readers that were written apart have to agree on every text. */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import { cidrHas, parseAddress, parseCidr } from "../../lib/base/address.ts";
import { buildGo } from "../support/build.ts";
import { mutate } from "../support/mutate.ts";

const ADDRESSES = [
  "1.2.3.4",
  "255.255.255.255",
  "0.0.0.0",
  "010.0.0.1",
  "1.2.3",
  "::",
  "::1",
  "::ffff:10.0.0.1",
  "::FFFF:a00:1",
  "0:0:0:0:0:ffff:7f00:1",
  "::10.0.0.1",
  "64:ff9b::192.0.2.33",
  "1:2:3:4:5:6:1.2.3.4",
  "1:2:3:4:5:6:7::",
  "::2:3:4:5:6:7:8",
  "2001:0:0:1:0:0:0:1",
  "2001:db8:0:0:1:0:0:1",
  "fe80::1%eth0",
  "::ffff:10.0.0.1%1",
];
const CIDRS = [
  ...ADDRESSES,
  "10.0.0.0/8",
  "10.9.9.9/31",
  "0.0.0.0/0",
  "1.2.3.4/032",
  "::/0",
  "2001:db8::1/33",
  "::ffff:10.0.0.0/104",
  "::ffff:0:0/96",
  "::ffff:0:0/95",
  "fe80::/10",
];

/** Texts of the corpus, and damaged ones in which what may matter to a reader stands more often. */
function texts(corpus: readonly string[], count: number): string[] {
  const alphabet = "0123456789abcdefABCDEF:.:.:./%xX+- []";
  const found = [...corpus];
  mutate(corpus.map((text) => Buffer.from(text)), count, (sample) => {
    const text = Buffer.from(sample).toString("latin1");
    found.push(
      text.replace(/[^0-9a-f:./%]/gi, (c) => alphabet[c.charCodeAt(0) % alphabet.length] ?? c),
    );
  });
  return found;
}

test("100,000 texts are the addresses and blocks that Go takes them for", () => {
  const addresses = texts(ADDRESSES, 100_000);
  const cidrs = texts(CIDRS, 100_000);
  // Some in blocks around themselves, some in those around what they were damaged from.
  const around = (text: string, at: number) => `${text}/${at % 130}`;
  const pairs = addresses.map((text, at) => {
    if (at % 3 === 0) return [text, around(text, at)] as const;
    if (at % 3 === 1) return [text, around(ADDRESSES[at % ADDRESSES.length] ?? "", at)] as const;
    return [text, cidrs[at] ?? ""] as const;
  });
  const input = pairs.map((pair) => JSON.stringify(pair)).join("\n");
  const { stdout, status, stderr } = spawnSync(buildGo("netip"), {
    input,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  expect([status, stderr]).toEqual([0, ""]);
  const opinions: string[] = stdout.trim().split("\n");
  expect(opinions).toHaveLength(pairs.length);
  const read = { addresses: 0, cidrs: 0, members: 0 };
  const disagreed: unknown[] = [];
  pairs.forEach(([text, block], at) => {
    const go = JSON.parse(opinions[at] ?? "") as { address: string; cidr: string; has: boolean };
    const address = parseAddress(text);
    const cidr = parseCidr(block);
    const has = address !== null && cidr !== null && cidrHas(cidr, address);
    const ours = { address: address?.text ?? null, cidr: cidr?.text ?? null, has };
    read.addresses += address === null ? 0 : 1;
    read.cidrs += cidr === null ? 0 : 1;
    read.members += has ? 1 : 0;
    // A zone may be any text to Go; here it is one that interfaces have.
    const zoned = text.includes("%") && address === null;
    const agreed = (zoned || ours.address === go.address) && ours.cidr === go.cidr &&
      (zoned || ours.has === go.has);
    if (!agreed) disagreed.push({ text, block, ours, go });
  });
  expect(disagreed).toEqual([]);
  expect(Math.min(read.addresses, read.cidrs)).toBeGreaterThan(5_000);
  expect(read.members).toBeGreaterThan(500);
});

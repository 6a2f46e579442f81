/**
 * SVCB and HTTPS records: the hints that lead to unjudged addresses, and the keys that hide names.
 */
import { Buffer } from "node:buffer";
import { describe, expect, test } from "bun:test";
import dnsPacket, { type Answer } from "dns-packet";
import { formatBinding, hintsOf, parseBinding, revealed } from "../../lib/dns/wire/svcb.ts";
import { MalformedDns } from "../../lib/dns/wire/wire_name.ts";
import { publicOnly } from "../../lib/policy/model/presets.ts";
import { mutate } from "../support/mutate.ts";
import {
  extendedError,
  type Lab,
  type LabOptions,
  openLab,
  policyOf,
  queryFor,
  setOf,
} from "./fixture.ts";

const u16 = (n: number) => [n >> 8, n & 0xff];
const Key = { Mandatory: 0, Alpn: 1, NoDefaultAlpn: 2, Port: 3, V4: 4, Ech: 5, V6: 6 } as const;
type Parameter = readonly [key: number, value: readonly number[]];

/** Record data with target `.`. */
function binding(...parameters: readonly Parameter[]): Buffer {
  const list = parameters.flatMap(([key, value]) => [...u16(key), ...u16(value.length), ...value]);
  return Buffer.from([0, 1, 0, ...list]);
}

const ALPN: Parameter = [Key.Alpn, [2, 104, 50]];
const ECH: Parameter = [Key.Ech, [0, 2, 9, 9]];
const OUTER: Parameter = [Key.V4, [93, 184, 216, 34]];
const INNER: Parameter = [Key.V4, [93, 184, 216, 34, 10, 9, 9, 9]];
const INNER_6: Parameter = [Key.V6, [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 10, 9, 9, 9]];

function https(data: Buffer, name = "api.allowed.test"): Answer {
  return { type: "UNKNOWN_65", name, data, ttl: 60 } as unknown as Answer;
}

async function lab(policy: ReturnType<typeof publicOnly>, data: Buffer, more = {}): Promise<Lab> {
  const open = await openLab(policy, [https(data)], more);
  open.server.behaviour = (_, truth) => ({
    ...truth,
    flags: dnsPacket.RECURSION_AVAILABLE,
    answers: [https(data)],
  });
  return open;
}

/** Data of the records that the guest got for api.allowed.test. */
async function got(open: Lab): Promise<Buffer[]> {
  const reply = await open.send(queryFor("api.allowed.test", "UNKNOWN_65"));
  const { answers = [] } = dnsPacket.decode(Buffer.from(reply ?? []));
  return answers.map((answer) => Buffer.from((answer as { data: Buffer }).data));
}

describe("for a name under a rule", () => {
  const RULES = [
    ["allowed", policyOf("deny", "allow@api.allowed.test:tcp:443")],
    ["partly denied", policyOf("allow", "deny@.allowed.test:tcp:80")],
  ] as const;

  test.each(RULES)("%s, keys and hints are taken out, and the rest stays", async (_, policy) => {
    await using open = await lab(policy, binding(ALPN, OUTER, ECH));
    expect(await got(open)).toEqual([binding(ALPN)]);
    expect(open.pins.size.pins).toBe(0);
  });

  test.each(RULES)("%s, what is taken out is not called mandatory either", async (_, policy) => {
    const mandatory = (...keys: number[]): Parameter => [Key.Mandatory, keys.flatMap(u16)];
    await using open = await lab(policy, binding(mandatory(Key.Alpn, Key.Ech), ALPN, ECH));
    expect(await got(open)).toEqual([binding(mandatory(Key.Alpn), ALPN)]);
    await using only = await lab(policy, binding(mandatory(Key.Ech), ALPN, ECH));
    expect(await got(only)).toEqual([binding(ALPN)]);
  });
});

describe("for a name under no rule", () => {
  test("the record comes through as it is where nothing is judged by name", async () => {
    await using open = await lab(publicOnly(), binding(ALPN, OUTER, ECH));
    expect(await got(open)).toEqual([binding(ALPN, OUTER, ECH)]);
    // Hints are no answer to a question about addresses.
    expect(open.pins.size.pins).toBe(0);
  });

  test.each<[string, ReturnType<typeof publicOnly>, LabOptions]>([
    ["a rule denies any name", policyOf("allow", "deny@bad.cdn.test"), {}],
    ["a rule denies a name on one port", policyOf("allow", "deny@.cdn.test:tcp:443"), {}],
    ["a rule allows another name", policyOf("allow", "allow@good.cdn.test"), {}],
    ["a block list has any name", publicOnly(), { blocked: setOf("bad.cdn.test") }],
    ["a block list has any suffix", publicOnly(), { blocked: setOf(".cdn.test") }],
    ["names of DNS over HTTPS are blocked", publicOnly(), { blockDoh: true }],
    ["flows are intercepted", publicOnly(), { tls: { ports: new Set([443]), hosts: setOf() } }],
    ["a secret has any host", publicOnly(), { tls: { ports: new Set(), hosts: setOf("b.test") } }],
  ])("keys and hints are taken out while %s: they hide that too", async (_, policy, more) => {
    await using open = await lab(policy, binding(ALPN, OUTER, ECH), more);
    expect(await got(open)).toEqual([binding(ALPN)]);
  });

  test("a service on a port that is not intercepted is left out while others are", async () => {
    const more = { tls: { ports: new Set([443, 8443]), hosts: setOf() } };
    for (const [port, kept] of [[443, true], [8443, true], [444, false], [0, false]] as const) {
      const data = binding(ALPN, [Key.Port, u16(port)]);
      await using open = await lab(publicOnly(), data, more);
      expect([port, await got(open)]).toEqual([port, kept ? [data] : []]);
      await using plain = await lab(publicOnly(), data);
      expect([port, await got(plain)]).toEqual([port, [data]]);
    }
  });

  const QUIC = ["h3", "h3-29", "hq-interop"];
  const alpn = (...ids: readonly string[]): Parameter => [
    Key.Alpn,
    ids.flatMap((id) => [id.length, ...Buffer.from(id)]),
  ];
  const none: Parameter = [Key.NoDefaultAlpn, []];
  const elsewhere: Parameter = [Key.Port, u16(8443)];
  const mandatory = (...keys: number[]): Parameter => [Key.Mandatory, keys.flatMap(u16)];
  test.each<[string, Buffer, Buffer | null]>([
    ["over TCP alone as it is", binding(alpn("h2"), elsewhere), binding(alpn("h2"), elsewhere)],
    ["without QUIC", binding(alpn(...QUIC, "h2"), OUTER, ECH), binding(alpn("h2"))],
    [
      "by its default protocol",
      binding(mandatory(1), alpn(...QUIC), elsewhere),
      binding(elsewhere),
    ],
    ["not at all where it has QUIC alone", binding(alpn(...QUIC), none), null],
    ["by a protocol that only looks alike", binding(alpn("h30", "h")), binding(alpn("h30", "h"))],
  ])(
    "a service of a secret's host is shown %s, that of another name whole",
    async (_, data, shown) => {
      for (const hosts of ["api.allowed.test", ".allowed.test"]) {
        const more = { tls: { ports: new Set<number>(), hosts: setOf(hosts) } };
        await using open = await lab(publicOnly(), data, more);
        expect(await got(open)).toEqual(shown === null ? [] : [shown]);
      }
      const more = { tls: { ports: new Set<number>(), hosts: setOf("b.test") } };
      await using other = await lab(publicOnly(), data, more);
      expect((await got(other)).length).toBe(1);
    },
  );

  test("and so is one that is asked for by its port and scheme", async () => {
    const asked = "_8443._https.api.allowed.test";
    const more = { tls: { ports: new Set([443]), hosts: setOf("api.allowed.test") } };
    await using open = await lab(publicOnly(), binding(), more);
    open.server.behaviour = (_, truth) => ({
      ...truth,
      answers: [https(binding(alpn("h3", "h2"), elsewhere), asked)],
    });
    const reply = await open.send(queryFor(asked, "UNKNOWN_65"));
    const { answers = [] } = dnsPacket.decode(Buffer.from(reply ?? []));
    expect(answers.map((answer) => (answer as { data: Buffer }).data))
      .toEqual([binding(alpn("h2"), elsewhere)]);
  });

  test.each([["10.9.9.9", INNER], ["64:ff9b::a09:909", INNER_6]])(
    "a hint that points inside, at %s, is rebinding",
    async (address, hint) => {
      await using open = await lab(publicOnly(), binding(ALPN, hint));
      const reply = await open.ask("api.allowed.test", "UNKNOWN_65");
      expect([reply?.answers, extendedError(reply)]).toEqual([[], `15 rebind: ${address}`]);
    },
  );
});

test.each<[string, Buffer]>([
  ["keys out of order", binding(ECH, ALPN)],
  ["a key twice", binding(ALPN, ALPN)],
  ["a length past the end", binding(ALPN).subarray(0, -1)],
  ["a hint of three bytes", binding([Key.V4, [1, 2, 3]])],
  ["a hint without addresses", binding([Key.V6, []])],
  ["a protocol that ends early", binding([Key.Alpn, [3, 104, 50]])],
  ["an odd list of mandatory keys", binding([Key.Mandatory, [0]])],
  ["nothing at all", Buffer.of()],
  ["a port of three bytes", binding(ALPN, [Key.Port, [0, 1, 187]])],
  ["a target that points to the question", Buffer.from([0, 1, 0xc0, 0x0c])],
  ["a target that points into itself", Buffer.from([0, 1, 0xc0, 0x00])],
  ["a target that ends in a pointer", Buffer.from([0, 1, 1, 0x61, 0xc0, 0x0c])],
  ["an alias that points to the question", Buffer.from([0, 0, 0xc0, 0x0c])],
])("a record with %s is left out, whatever the policy", async (_, data) => {
  for (const policy of [publicOnly(), policyOf("deny", "allow@api.allowed.test")]) {
    await using open = await lab(policy, data);
    expect(await got(open)).toEqual([]);
  }
});

test("20,000 damaged records are read or refused, and lose what hides", () => {
  const corpus = [
    binding(ALPN, INNER, ECH, INNER_6),
    binding([Key.Mandatory, [0, 1, 0, 5]], ALPN, ECH, [999, [1, 2, 3]]),
  ];
  let read = 0;
  mutate(corpus, 20_000, (sample) => {
    try {
      const parsed = parseBinding(sample);
      expect(formatBinding(parsed)).toEqual(sample);
      hintsOf(parsed);
      const keys = parseBinding(formatBinding(revealed(parsed))).parameters.map(({ key }) => key);
      expect(keys.filter((key) => key === 4 || key === 5 || key === 6)).toEqual([]);
      read++;
    } catch (error) {
      expect(error).toBeInstanceOf(MalformedDns);
    }
  });
  expect(read).toBeGreaterThan(1_000);
});

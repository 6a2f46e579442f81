/** What a trace tells of questions: each state that one is in, and never the name. */
import { afterEach, expect, test } from "bun:test";
import { traceTo } from "../../lib/base/trace.ts";
import { openLab, policyOf } from "./fixture.ts";

afterEach(() => traceTo(() => {}, []));

const ZONE = [{ type: "A", name: "api.allowed.test", ttl: 300, data: "93.184.216.34" }] as const;

function watched(): string[] {
  const lines: string[] = [];
  traceTo((line) => lines.push(line.replace("trace dns ", "")), ["dns"]);
  return lines;
}

test.each<[what: string, name: string, tries: number, states: string[]]>([
  ["is asked of a resolver, and from then on answered from the cache", "api.allowed.test", 2, [
    "1 new → asked (udp)",
    "1 asked → allowed (rule)",
    "1 allowed → forwarded (miss)",
    "1 forwarded → answered (rcode 0)",
    "2 new → asked (udp)",
    "2 asked → allowed (rule)",
    "2 allowed → cached (hit)",
    "2 cached → answered (rcode 0)",
  ]],
  ["is denied by policy", "evil.test", 1, [
    "1 new → asked (udp)",
    "1 asked → denied (default)",
  ]],
  ["is known", "localhost", 1, [
    "1 new → asked (udp)",
    "1 asked → known (localhost)",
    "1 known → answered (rcode 0)",
  ]],
])("a question that %s", async (_what, name, tries, states) => {
  await using lab = await openLab(policyOf("deny", "allow@*.allowed.test"), [...ZONE]);
  const lines = watched();
  for (let n = 0; n < tries; n++) await lab.ask(name);
  expect(lines).toEqual(states);
});

test("a question that nobody answers has failed, and one that waits for it shares its fate", async () => {
  await using lab = await openLab(policyOf("allow"), [], {
    upstream: { resolvers: [{ address: "127.0.0.1", port: 1 }] },
  });
  const lines = watched();
  await Promise.all([lab.ask("api.allowed.test"), lab.ask("api.allowed.test")]);
  expect(lines).toEqual([
    "1 new → asked (udp)",
    "1 asked → allowed (default)",
    "1 allowed → forwarded (miss)",
    "2 new → asked (udp)",
    "2 asked → allowed (default)",
    "2 allowed → forwarded (shared)",
    "1 forwarded → failed (rcode 2)",
    "2 forwarded → failed (rcode 2)",
  ]);
});

test("a message that is no question is denied", async () => {
  await using lab = await openLab(policyOf("allow"));
  const lines = watched();
  await lab.send(Uint8Array.from([0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
  expect(lines).toEqual(["1 new → asked (udp)", "1 asked → denied (query-invalid)"]);
});

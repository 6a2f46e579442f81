/**
 * A resolver that validates (dnsmasq, a real one), and a server behind it whose answers somebody forges on the
 * way. Answers make pins, so that what the resolver takes for forged must not get to the guest, whatever bits
 * the guest sets.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Buffer } from "node:buffer";
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import dnsPacket, { type Answer, type DecodedPacket } from "dns-packet";
import { Pins } from "../../lib/dns/pins.ts";
import { createDns, type DnsService } from "../../lib/dns/service.ts";
import { createUpstream } from "../../lib/dns/upstream.ts";
import { DnsServer } from "../support/dns_server.ts";
import { freePort } from "../support/free_port.ts";
import { run, until } from "../support/process.ts";
import { SignedZone } from "../support/signed_zone.ts";
import { dataOf, edns, nameSnapshot, policyOf, queryFor, rcode } from "./fixture.ts";

const TRUE = "93.184.216.34";
const FORGED = "45.33.32.156";
const CD = 0x10;
const AD = 0x20;

const zone = new SignedZone("signed.test");
let server: DnsServer;
let resolver: ChildProcess;
let port: number;
let pins: Pins;
let dns: DnsService;

beforeAll(async () => {
  server = await DnsServer.start();
  server.behaviour = ({ packet }, truth) => {
    const [question] = packet.questions ?? [];
    const answers: Record<string, Answer[]> = {
      "signed.test DNSKEY": zone.keys,
      "honest.signed.test A": zone.address("honest.signed.test", TRUE),
      "forged.signed.test A": zone.address("forged.signed.test", TRUE, FORGED),
    };
    const found = answers[`${question?.name} ${question?.type}`];
    if (found === undefined) return truth;
    return { ...truth, flags: dnsPacket.RECURSION_AVAILABLE, answers: found, authorities: [] };
  };
  port = await freePort();
  resolver = spawn("dnsmasq", [
    "--keep-in-foreground",
    "--conf-file=/dev/null",
    "--pid-file=",
    `--port=${port}`,
    "--listen-address=127.0.0.1",
    "--bind-interfaces",
    "--user=",
    "--no-resolv",
    "--no-hosts",
    `--server=127.0.0.1#${server.port}`,
    "--dnssec",
    `--trust-anchor=${zone.anchor}`,
    `--trust-anchor=.,1,13,2,${"00".repeat(32)}`, // it does not start without one of the root's
  ], { stdio: ["ignore", "ignore", "inherit"] });
  await until("dnsmasq", async () => (await dig("honest.signed.test")).includes(TRUE));
});
afterAll(() => {
  server?.close();
  resolver?.kill();
});

beforeEach(() => {
  pins = new Pins();
  dns = createDns({
    snapshot: () => nameSnapshot(policyOf("deny", "allow@.signed.test:tcp:443")),
    pins,
    upstream: createUpstream({ resolvers: [{ address: "127.0.0.1", port }] }),
  });
});

async function dig(...args: readonly string[]): Promise<string> {
  const tool = ["dig", "@127.0.0.1", "-p", `${port}`, "+time=10", "+tries=1"];
  return (await run([...tool, ...args])).stdout;
}

async function ask(name: string, bits: number, dnssecOk: boolean): Promise<DecodedPacket> {
  const query = queryFor(name, "A", {
    flags: dnsPacket.RECURSION_DESIRED | bits,
    additionals: [edns(1232, { flags: dnssecOk ? 0x8000 : 0 })],
  });
  return dnsPacket.decode(Buffer.from(await dns.answer(query, "udp") ?? []));
}

test("this resolver does leave its checks out for whoever sets CD", async () => {
  expect(await dig("+short", "+cd", "forged.signed.test")).toContain(FORGED);
  expect(await dig("forged.signed.test")).toContain("SERVFAIL");
});

test("a forged answer is SERVFAIL to the guest and pins nothing, with CD and DO or without", async () => {
  for (const bits of [CD, 0, CD | AD, AD]) {
    for (const dnssecOk of [true, false]) {
      const reply = await ask("forged.signed.test", bits, dnssecOk);
      expect([bits, rcode(reply), dataOf(reply)]).toEqual([bits, "SERVFAIL", []]);
      expect((reply.flags ?? 0) & CD).toBe(bits & CD);
    }
  }
  expect([pins.size.pins, [...pins.namesOf(FORGED)]]).toEqual([0, []]);
});

test("a guest that validates itself gets signatures, of what the resolver found right", async () => {
  const reply = await ask("honest.signed.test", CD, true);
  expect(reply.answers?.map(({ type }) => type as string)).toEqual(["A", "RRSIG"]);
  expect((reply.flags ?? 0) & AD).toBe(AD);
  expect([...pins.namesOf(TRUE)]).toEqual(["honest.signed.test"]);
  expect(dataOf(await ask("honest.signed.test", 0, false))).toEqual([TRUE]);
});

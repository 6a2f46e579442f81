/**
 * What a guest does and is refused, as something that can be tried again under other settings.
 *
 * @module
 */
import { expect } from "bun:test";
import { Command } from "commander";
import { parseAddress } from "../../lib/base/address.ts";
import { declareRunFlags, runFlags } from "../../lib/cli/run_flags.ts";
import { sandboxOf } from "../../lib/cli/run_setup.ts";
import { judgeAnswer, judgeQuestion, type NameRefusal } from "../../lib/dns/filter.ts";
import { KnownNames } from "../../lib/dns/known_names.ts";
import { Class, Type } from "../../lib/dns/wire/codes.ts";
import { hostQuestion, type Message, type Resource } from "../../lib/dns/wire/message.ts";
import { wireName } from "../../lib/dns/wire/wire_name.ts";
import { formatChange } from "../../lib/judge/change.ts";
import { firstBytes, type FirstWords } from "../../lib/judge/first_bytes.ts";
import { judgeFirst } from "../../lib/judge/first_flight.ts";
import type { FlowInfo } from "../../lib/judge/flow_info.ts";
import { hintFor, type Refused } from "../../lib/judge/hint.ts";
import { judgeOpening } from "../../lib/judge/opening.ts";
import type { Ruling } from "../../lib/judge/ruling.ts";
import { simulate, type SimulatedFlow } from "../../lib/judge/simulate.ts";
import { type Snapshot, snapshotOf } from "../../lib/judge/snapshot.ts";
import { fixedPins } from "../../lib/policy/model/fixed_pins.ts";
import { type ReasonId } from "../../lib/policy/model/reasons.ts";
import { readBlockedNames } from "../../lib/sandbox/blocked_names.ts";
import type { NetworkOptions } from "../../lib/sandbox/options.ts";
import { readInterception } from "../../lib/tls/interception.ts";

export const MACHINE = { addresses: ["127.0.0.1", "::1", "151.101.9.2"], links: [] };
export const PINS = fixedPins([
  { name: "good.test", address: "93.184.216.34" },
  { name: "db.test", address: "10.0.0.5" },
  { name: "six.test", address: "2606:2800:220::34" },
  { name: "evil.test", address: "45.33.32.156" },
]);

/** What the command line makes of these options. */
export async function networkUnder(options: readonly string[]): Promise<NetworkOptions> {
  const command = new Command().exitOverride();
  declareRunFlags(command);
  command.parse([...options], { from: "user" });
  return (await sandboxOf(runFlags(command), { environment: () => ({}) })).build().network;
}

/** What a sandbox started with these options judges by. */
export async function snapshotUnder(options: readonly string[]): Promise<Snapshot> {
  const { policy, dns, tls, secrets } = await networkUnder(options);
  const settings = {
    policy,
    blocked: await readBlockedNames(dns),
    blockDoh: dns.blockDoh,
    rebindProtection: dns.rebindProtection,
    known: new KnownNames({ user: dns.hosts ?? [] }),
    interception: readInterception(tls, secrets),
  };
  return snapshotOf(settings, MACHINE, PINS);
}

/** The words of a shell's line, as far as hints go. */
export function words(line: string): string[] {
  return line.split(" ").map((word) => word.replace(/^'(.*)'$/, "$1"));
}

/** Something a guest does, which is refused and comes again. */
export interface Attempt {
  refused(snapshot: Snapshot): Refused;
  passes(snapshot: Snapshot): boolean;
}

export function info(proto: FlowInfo["proto"], dst: string, dport = 0): FlowInfo {
  return { proto, dir: "outbound", src: "192.168.127.2", sport: 4000, dst, dport };
}

export function inbound(src: string, dport: number): FlowInfo {
  return { proto: "tcp", dir: "inbound", src, sport: 4000, dst: "192.168.127.2", dport };
}

/** A flow, judged by what it says where that is asked for. */
export function flow(to: FlowInfo, first: FirstWords = { kind: "nothing" }): Attempt {
  return {
    refused: (snapshot) => {
      const opening = judgeOpening(snapshot, to);
      const bytes = firstBytes(first);
      const end = bytes.length === 0 ? "timeout" : "complete";
      const ruling = opening.action === "inspect"
        ? judgeFirst(snapshot, to, bytes, end).ruling
        : opening;
      return { kind: "flow", info: to, ruling };
    },
    passes: (snapshot) => simulate(snapshot, { info: to, first }).verdict === "allow",
  };
}

/** An intercepted flow, refused when its offer was read or its server looked at. */
export function session(
  to: FlowInfo,
  first: FirstWords & { kind: "tls" },
  why: Pick<Ruling, "reason" | "detail">,
  server?: SimulatedFlow["server"],
): Attempt {
  const played = { info: to, first, ...(server === undefined ? {} : { server }) };
  return {
    refused: (snapshot) => {
      expect(simulate(snapshot, played)).toMatchObject({ verdict: "deny", stage: "session" });
      const named = first.sni === undefined ? {} : { name: first.sni };
      const ruling: Ruling = { action: "deny", tls: "intercepted", ...named, ...why };
      return { kind: "flow", info: to, ruling };
    },
    passes: (snapshot) => simulate(snapshot, played).verdict === "allow",
  };
}

/** A question, with the records that a resolver answers it with. */
export function question(
  name: string,
  ...answer: readonly (readonly [owner: string, data: string])[]
): Attempt {
  const asked = hostQuestion(name);
  const records = answer.map(([owner, data]): Resource => {
    const address = parseAddress(data);
    const record = { name: wireName(owner), class: Class.IN, ttl: 60 };
    if (address === null) return { ...record, type: Type.CNAME, data: wireName(data) };
    return { ...record, type: address.family === 4 ? Type.A : Type.AAAA, data: address.bytes };
  });
  const message: Message = {
    id: 1,
    flags: 0x8180,
    questions: [asked],
    answers: records,
    authorities: [],
    additionals: [],
    edns: null,
  } as unknown as Message;
  const refusal = (snapshot: Snapshot): NameRefusal | null => {
    const ruling = judgeQuestion(snapshot, asked, "udp");
    if (ruling.kind === "refuse") return ruling.refusal;
    if (ruling.kind !== "ask") return null;
    const judged = judgeAnswer(snapshot, asked, message, "udp");
    return judged.kind === "refuse" ? judged.refusal : null;
  };
  return {
    refused: (snapshot) => {
      const why = refusal(snapshot);
      if (why === null) throw new Error(`${name} resolves`);
      return { kind: "name", name, via: "udp", refusal: why };
    },
    passes: (snapshot) => refusal(snapshot) === null,
  };
}

/** A request of a flow that is relayed, whose first request was fine. */
export function request(scheme: "http" | "https", to: FlowInfo, host: string): Attempt {
  const first: FirstWords = scheme === "https" ? { kind: "tls" } : { kind: "http", host };
  const play = (snapshot: Snapshot) => simulate(snapshot, { info: to, first, requests: [host] });
  return {
    refused: (snapshot) => {
      const { verdict, why } = play(snapshot);
      expect(verdict).toBe("deny");
      return { kind: "request", info: to, scheme, host, refusal: why };
    },
    passes: (snapshot) => play(snapshot).verdict === "allow",
  };
}

/** What is tried, under which options, what it is refused for, and the hint that is to let it pass. */
export interface HintCase {
  readonly reason: ReasonId;
  readonly options: readonly string[];
  readonly attempt: Attempt;
  readonly hint: string | null;
}

/** The hint is the expected one, and true: given to the command line, it lets the same thing pass. */
export async function expectHint({ reason, options, attempt, hint }: HintCase): Promise<void> {
  const before = await snapshotUnder(options);
  const refused = attempt.refused(before);
  expect((refused.kind === "flow" ? refused.ruling : refused.refusal).reason).toBe(reason);
  const change = hintFor(before, refused);
  expect(change === null ? null : formatChange(change)).toBe(hint);
  if (hint === null) return;
  expect(attempt.passes(before)).toBe(false);
  expect(attempt.passes(await snapshotUnder([...words(hint), ...options]))).toBe(true);
}

/** What the relay or the resolver finds by itself, and no setting changes. */
export function found(reason: ReasonId): Attempt {
  const to = info("tcp", "93.184.216.34", 443);
  return {
    refused: () => ({
      kind: "request",
      info: to,
      scheme: "https",
      host: "good.test",
      refusal: { reason },
    }),
    passes: () => false,
  };
}

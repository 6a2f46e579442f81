/**
 * What a simulation says a sandbox would do is what one does: the same flows, requests and questions,
 * played by the judge alone and made in earnest by a namespace guest on the real netstack, come to the same
 * verdict for the same reason.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { formatEndpoint, parseAddress, parseCidr } from "../../lib/base/address.ts";
import { LINK } from "../../lib/base/link.ts";
import { KnownNames } from "../../lib/dns/known_names.ts";
import { firstBytes } from "../../lib/judge/first_bytes.ts";
import type { FlowInfo } from "../../lib/judge/flow_info.ts";
import { simulate, simulateName, withPins } from "../../lib/judge/simulate.ts";
import { type Snapshot, snapshotOf } from "../../lib/judge/snapshot.ts";
import { fixedPins } from "../../lib/policy/model/fixed_pins.ts";
import { readBlockedNames } from "../../lib/sandbox/blocked_names.ts";
import { readInterception } from "../../lib/tls/interception.ts";
import {
  type JournalLine,
  type NamespaceGuest,
  openNamespaceGuest,
} from "../support/namespace_guest.ts";
import { HOST_ADDRESSES } from "../support/places.ts";
import { until } from "../support/process.ts";
import { resolve } from "../support/say.ts";
import { openWorld, ROOT, type World } from "../support/world.ts";
import { type FlowRow, type RequestRow, SECRET, type Setting, settingsWith } from "./judge_rows.ts";

let world: World;
beforeAll(async () => {
  process.env[SECRET] = "a-token-that-nobody-sends";
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** As the host of a world is. */
const MACHINE = {
  addresses: ["127.0.0.1", "::1", ...HOST_ADDRESSES],
  links: ["151.101.9.0/30", "2606:4700:9::/64"].flatMap((text) => parseCidr(text) ?? []),
};

/** `allow rule 0 intercepted`, `deny quic`. */
type Word = string;

/** The first source port; each flow has one of its own, by which the journal tells them apart. */
const FIRST_PORT = 20_000;

async function snapshotUnder({ network, names }: Setting): Promise<Snapshot> {
  const { policy, dns, tls, secrets } = network;
  const fresh = snapshotOf(
    {
      policy,
      blocked: await readBlockedNames(dns),
      rebindProtection: dns.rebindProtection,
      known: new KnownNames({ guest: "guest", gateway: LINK.gateway.ip4 }),
      interception: readInterception(tls, secrets),
    },
    MACHINE,
    fixedPins([]),
  );
  const pins = Object.entries(names).flatMap(([name, address]) => {
    const resolution = simulateName(fresh, name, [address]);
    if (resolution.kind === "refused") throw new Error(`${name} does not resolve`);
    return resolution.pins;
  });
  return withPins(fresh, pins);
}

function infoOf([proto, dst, dport]: FlowRow["to"], sport: number): FlowInfo {
  const src = parseAddress(dst)?.family === 6 ? LINK.guest.ip6 : LINK.guest.ip4;
  return { proto, dir: "outbound", src, sport, dst, dport };
}

function word(verdict: string, why: Readonly<Record<string, unknown>>): Word {
  const { reason, rule, tls } = why;
  return [verdict, reason, rule, verdict === "allow" ? tls : undefined]
    .filter((part) => part !== undefined).join(" ");
}

/** What the judge alone says. */
function simulated(snapshot: Snapshot, { flows, requests, questions }: Setting): Word[] {
  return [
    ...flows.map(({ to, says }) => simulate(snapshot, { info: infoOf(to, 1), first: says })),
    ...requests.map(({ sni, at, host, http, server }) =>
      simulate(snapshot, {
        info: infoOf(["tcp", at, 443], 1),
        first: { kind: "tls", sni, alpn: [http === "2" ? "h2" : "http/1.1"] },
        requests: [host],
        ...(server === undefined ? {} : { server }),
      })
    ),
  ].map(({ verdict, why, tls }) => word(verdict, { ...why, tls })).concat(
    Object.entries(questions).map(([name, address]) => {
      const resolution = simulateName(snapshot, name, address === "" ? [] : [address]);
      if (resolution.kind === "answered") return "answered";
      const { verdict, why } = resolution.outcome;
      return word(verdict, { ...why });
    }),
  );
}

/** What came of the flow that was opened from this port, or of the ping; undefined while nothing has. */
function outcome(lines: readonly JournalLine[], to: FlowRow["to"], port: number): Word | undefined {
  const { proto, src, dst } = infoOf(to, port);
  const isMine = (line: JournalLine) =>
    line["protocol"] === proto &&
    (proto.startsWith("icmp")
      ? line["destination"] === dst
      : line["source"] === formatEndpoint(src, port));
  const mine = lines.filter(isMine);
  const denied = mine.find(({ event }) => event === "denied");
  if (denied !== undefined) return word("deny", denied);
  const opened = mine.find(({ event }) => event === "opened");
  if (opened === undefined) return undefined;
  const requests = lines.filter(({ event, flow }) =>
    event === "request" && flow === opened["flow"]
  );
  const refused = requests.find(({ reason }) =>
    reason !== undefined && reason !== "upstream-closed"
  );
  if (refused !== undefined) return word("deny", refused);
  // A request may still be refused while the flow is there; datagrams have none, and no end either.
  if (proto === "udp") return word("allow", { ...opened });
  return mine.some(({ event }) => event === "closed") ? word("allow", { ...opened }) : undefined;
}

async function made(guest: NamespaceGuest, setting: Setting): Promise<Word[]> {
  const { names, flows, requests, questions } = setting;
  await resolve(guest, ...Object.keys(names));
  const ports = (at: number) => FIRST_PORT + at;
  const opened = flows.flatMap(({ to: [proto, ...to], says }, at) =>
    proto.startsWith("icmp")
      ? []
      : [{ proto, to, from: ports(at), says: Buffer.from(firstBytes(says)).toString("hex") }]
  );
  const script = readFileSync(join(ROOT, "test/support/openers.py"), "utf8");
  const pings = flows.filter(({ to: [proto] }) => proto.startsWith("icmp"));
  await Promise.all([
    guest.run(["python3", "-c", script, JSON.stringify(opened)], { limit: 60 }),
    ...pings.map(({ to }) => guest.run(["ping", "-c1", "-W3", to[1]], { limit: 60 })),
    ...requests.map((row, at) => guest.run(curl(guest, row, ports(flows.length + at)))),
  ]);
  const rows = [
    ...flows.map(({ to }) => to),
    ...requests.map(({ at }) => ["tcp", at, 443] as const),
  ];
  const words = () =>
    rows.map((to, at) =>
      to[2] === 53 ? questionWord(guest) : outcome(guest.journal, to, ports(at))
    );
  await until("every outcome", () => words().every((each) => each !== undefined), 60)
    .catch(() => {}); // what is missing is told by the comparison
  await resolve(guest, ...Object.keys(questions));
  return [
    ...words().map((each) => each ?? "nothing came of it"),
    ...Object.keys(questions).map((name) => {
      const line = guest.journal.find((each) => each.event === "dns" && each["name"] === name);
      return line?.["verdict"] === "refused" ? word("deny", line) : String(line?.["verdict"]);
    }),
  ];
}

/** A question to somebody else's resolver has no line of its flow, but one of its own. */
function questionWord(guest: NamespaceGuest): Word | undefined {
  const isAnswered = guest.journal.some(({ event, verdict }) =>
    event === "dns" && verdict === "answered"
  );
  return isAnswered ? "allow dns" : undefined;
}

function curl(guest: NamespaceGuest, { sni, at, host, http }: RequestRow, port: number): string[] {
  return [
    ...["curl", "-s", "-m", "20", "--cacert", guest.authority, `--http${http}`],
    ...["--local-port", String(port), "--resolve", `${sni}:443:${at}`, "-H", `Host: ${host}`],
    `https://${sni}/`,
  ];
}

test.each([
  "public addresses only, and a block list",
  "an allow list of names",
  "interception",
  "a secret",
])(
  "under %s, flows, requests and questions end as a simulation says",
  async (what) => {
    const setting = settingsWith(world.ca).find((each) => each.what === what);
    if (setting === undefined) throw new Error("no such setting");
    await using guest = await openNamespaceGuest(world, {
      policy: "allow-all",
      network: setting.network,
    });
    const rows = [
      ...setting.flows.map(({ to, says }) =>
        `${to.join(" ")} ${JSON.stringify(says).slice(0, 60)}`
      ),
      ...setting.requests.map((row) => JSON.stringify(row)),
      ...Object.keys(setting.questions),
    ];
    const expected = simulated(await snapshotUnder(setting), setting);
    const actual = await made(guest, setting);
    const table = (words: readonly Word[]) => rows.map((row, at) => `${row}: ${words[at]}`);
    expect(table(actual)).toEqual(table(expected));
    expect(new Set(expected).size).toBeGreaterThan(4); // not all of one kind
  },
  180_000,
);

import { Buffer } from "node:buffer";
import { expect, test } from "bun:test";
import dnsPacket from "dns-packet";
import { publicOnly } from "../../lib/policy/model/presets.ts";
import { Tripwire } from "../../lib/secret/tripwire.ts";
import { ManualClock } from "../support/manual_clock.ts";
import {
  a,
  aaaa,
  cname,
  dataOf,
  edns,
  extendedError,
  openLab,
  policyOf,
  queryFor,
  rcode,
  setOf,
} from "./fixture.ts";

const PUBLIC = publicOnly();
const API = a("api.allowed.test", "93.184.216.34");

test("an answer of the resolver reaches the guest and pins the name", async () => {
  await using lab = await openLab(PUBLIC, [API, aaaa("api.allowed.test", "2606:2800:220::34")]);
  expect(dataOf(await lab.ask("api.allowed.test"))).toEqual(["93.184.216.34"]);
  expect(dataOf(await lab.ask("api.allowed.test", "AAAA"))).toEqual(["2606:2800:220::34"]);
  expect([...lab.pins.namesOf("93.184.216.34")]).toEqual(["api.allowed.test"]);
  expect(lab.pins.has("api.allowed.test", "2606:2800:220::34")).toBe(true);
  expect(lab.events[0]).toMatchObject({
    kind: "dns",
    name: "api.allowed.test",
    type: "A",
    via: "udp",
    verdict: "answered",
    rcode: 0,
    answers: ["93.184.216.34"],
  });
});

test("a refused name is NXDOMAIN with the reason, and no query leaves", async () => {
  await using lab = await openLab(policyOf("deny", "allow@api.allowed.test:tcp:443"), [API]);
  const reply = await lab.ask("secret-in-a-label.evil.test", "TXT");
  expect(rcode(reply)).toBe("NXDOMAIN");
  expect(extendedError(reply)).toBe("18 default");
  expect(lab.server.received).toEqual([]);
  expect(lab.events).toMatchObject([{ verdict: "refused", reason: "default", answers: [] }]);
});

test("the extended error names the rule or the list entry", async () => {
  const policy = policyOf("allow", "deny@*.evil.test");
  await using lab = await openLab(policy, [], { blocked: setOf("ads.example.test", ".trk.test") });
  expect(extendedError(await lab.ask("x.evil.test"))).toBe("18 rule 0: deny@.evil.test");
  expect(extendedError(await lab.ask("ads.example.test"))).toBe(
    "15 blocked-name: ads.example.test",
  );
  expect(extendedError(await lab.ask("a.trk.test"))).toBe("15 blocked-name: .trk.test");
  expect(lab.server.received).toEqual([]);
});

test("the extended error is there even where a small answer has hardly room for it", async () => {
  const label = "a".repeat(63);
  const long = [label, label, label, "b".repeat(56)].join(".");
  const zone = [cname(`${long}.t`, `${long}.ads`)];
  await using lab = await openLab(policyOf("allow", `deny@.${long}.ads`), zone);
  const reply = await lab.send(queryFor(`${long}.t`, "A", { additionals: [edns(512)] }));
  expect(reply?.length).toBeLessThanOrEqual(512);
  const error = extendedError(dnsPacket.decode(Buffer.from(reply ?? [])));
  expect(error).toMatch(/^18 rule 0: deny@\.a+\./);
});

test("block lists hold for every type, transport, letter case and trailing dot", async () => {
  await using lab = await openLab(PUBLIC, [], { blocked: setOf("ads.example.test") });
  for (const type of ["A", "AAAA", "TXT", "MX", "SRV", "UNKNOWN_65", "CAA", "ANY", "NS"]) {
    for (const name of ["ads.example.test", "ADS.eXample.TEST", "ads.example.test."]) {
      for (const via of ["udp", "tcp"] as const) {
        const reply = await lab.send(queryFor(name, type), via);
        expect((reply?.[3] ?? 0) & 0xf).toBe(3);
      }
    }
  }
  expect(lab.server.received).toEqual([]);
});

test("no extended error and no OPT for a guest that sent none", async () => {
  await using lab = await openLab(PUBLIC, [API], { blocked: setOf("ads.example.test") });
  for (const name of ["ads.example.test", "api.allowed.test"]) {
    expect((await lab.ask(name, "A", { additionals: [] }))?.additionals).toEqual([]);
  }
});

test("the question comes back in the guest's spelling and the resolver sees one spelling", async () => {
  await using lab = await openLab(PUBLIC, [API]);
  const reply = await lab.ask("aPi.AlLoWeD.tEsT");
  expect(reply?.questions?.[0]?.name).toBe("aPi.AlLoWeD.tEsT");
  expect(reply?.answers?.[0]?.name).toBe("aPi.AlLoWeD.tEsT");
  expect(lab.server.received[0]?.packet.questions?.[0]?.name).toBe("api.allowed.test");
});

test("the same question again is answered from the cache, aged, and still pins", async () => {
  await using lab = await openLab(PUBLIC, [API]);
  await lab.ask("api.allowed.test");
  await lab.ask("API.allowed.test");
  expect(lab.server.received.length).toBe(1);
  expect(lab.events.map(({ answers }) => answers)).toEqual([["93.184.216.34"], ["93.184.216.34"]]);
});

test("signatures are another question than none", async () => {
  await using lab = await openLab(PUBLIC, [API]);
  await lab.ask("api.allowed.test");
  await lab.ask("api.allowed.test", "A", { additionals: [edns(1232, { flags: 0x8000 })] });
  expect(lab.server.received.length).toBe(2);
});

test("identical questions under way share one exchange", async () => {
  await using lab = await openLab(PUBLIC, [API]);
  const gate = Promise.withResolvers<void>();
  lab.server.behaviour = async (_, truth) => {
    await gate.promise;
    return truth;
  };
  const asked = Array.from({ length: 50 }, () => lab.ask("api.allowed.test"));
  while (lab.server.received.length === 0) await Bun.sleep(1);
  gate.resolve();
  for (const reply of await Promise.all(asked)) expect(dataOf(reply)).toEqual(["93.184.216.34"]);
  expect(lab.server.received.length).toBe(1);
});

test("NXDOMAIN and NODATA come through with their SOA, and are cached by it", async () => {
  await using lab = await openLab(PUBLIC, [API]);
  const missing = await lab.ask("missing.allowed.test");
  expect(rcode(missing)).toBe("NXDOMAIN");
  expect(missing?.authorities?.map(({ type }) => type)).toEqual(["SOA"]);
  expect(extendedError(missing)).toBeUndefined();
  const empty = await lab.ask("api.allowed.test", "MX");
  expect([rcode(empty), empty?.answers?.length]).toEqual(["NOERROR", 0]);
  await lab.ask("missing.allowed.test");
  await lab.ask("api.allowed.test", "MX");
  expect(lab.server.received.length).toBe(2);
});

test("a policy that was replaced judges what is in the cache", async () => {
  await using lab = await openLab(policyOf("allow"), [
    cname("www.allowed.test", "cdn.other.test"),
    a("cdn.other.test", "93.184.216.35"),
  ]);
  expect(dataOf(await lab.ask("www.allowed.test"))).toEqual(["cdn.other.test", "93.184.216.35"]);
  lab.replacePolicy(policyOf("allow", "deny@cdn.other.test"));
  expect(rcode(await lab.ask("www.allowed.test"))).toBe("NXDOMAIN");
  lab.replacePolicy(policyOf("deny"));
  expect(rcode(await lab.ask("www.allowed.test"))).toBe("NXDOMAIN");
  expect(lab.server.received.length).toBe(1);
});

test("a policy that was replaced while the resolver thought judges the answer", async () => {
  await using lab = await openLab(PUBLIC, [a("flip.allowed.test", "10.9.9.9")]);
  lab.server.behaviour = (_, truth) => {
    lab.replacePolicy(policyOf("allow", "allow@10.9.9.9"));
    return truth;
  };
  expect(dataOf(await lab.ask("flip.allowed.test"))).toEqual(["10.9.9.9"]);
});

test("a rule that denies an alias target refuses the alias; a default that denies does not", async () => {
  const zone = [cname("www.allowed.test", "cdn.other.test"), a("cdn.other.test", "93.184.216.35")];
  await using denied = await openLab(policyOf("allow", "deny@*.other.test"), zone);
  const reply = await denied.ask("www.allowed.test");
  expect(rcode(reply)).toBe("NXDOMAIN");
  expect(extendedError(reply)).toBe("18 rule 0: deny@.other.test: alias of cdn.other.test");
  expect([...denied.pins.namesOf("93.184.216.35")]).toEqual([]);
  await using allowed = await openLab(policyOf("deny", "allow@www.allowed.test", "deny@any"), zone);
  expect(dataOf(await allowed.ask("www.allowed.test"))).toEqual([
    "cdn.other.test",
    "93.184.216.35",
  ]);
  expect([...allowed.pins.namesOf("93.184.216.35")]).toEqual(["www.allowed.test"]);
});

test("the AD bit is given to who asks for it, and only for what was passed on whole", async () => {
  await using lab = await openLab(PUBLIC, [API, a("extra.allowed.test", "93.184.216.36")]);
  lab.server.behaviour = (query, truth) => ({
    ...truth,
    flags: (truth.flags ?? 0) | dnsPacket.AUTHENTIC_DATA,
    answers: [
      ...truth.answers ?? [],
      ...(query.packet.questions?.[0]?.name === "extra.allowed.test" ? [API] : []),
    ],
  });
  const flags = dnsPacket.RECURSION_DESIRED | dnsPacket.AUTHENTIC_DATA;
  const isAuthentic = async (name: string, flags: number) =>
    ((await lab.ask(name, "A", { flags }))?.flags ?? 0) & dnsPacket.AUTHENTIC_DATA;
  expect(await isAuthentic("api.allowed.test", flags)).not.toBe(0);
  expect(await isAuthentic("api.allowed.test", dnsPacket.RECURSION_DESIRED)).toBe(0);
  expect(await isAuthentic("extra.allowed.test", flags)).toBe(0);
});

test("a resolver's own extended errors are passed on", async () => {
  await using lab = await openLab(PUBLIC, []);
  const bogus = Buffer.from("\0\x06no signature", "latin1");
  lab.server.behaviour = (_, truth) => ({
    ...truth,
    flags: (truth.flags ?? 0) & ~0xf | 2,
    additionals: [edns(1232, { options: [{ code: 15, data: bogus }] })],
  });
  const reply = await lab.ask("bogus.allowed.test");
  expect([rcode(reply), extendedError(reply)]).toEqual(["SERVFAIL", "6 no signature"]);
});

test("too many queries are refused, counted and told once", async () => {
  const clock = new ManualClock();
  await using lab = await openLab(PUBLIC, [], { limits: { queriesPerSecond: 1, burst: 3 }, clock });
  const replies = await Promise.all(Array.from({ length: 10 }, () => lab.ask("a.invalid")));
  expect(replies.map(rcode).filter((code) => code === "REFUSED").length).toBe(7);
  expect(extendedError(replies.at(-1) ?? null)).toBe("0 dns-limit");
  expect(lab.events.map(({ reason }) => reason)).toEqual(Array(3).fill("local-name"));
  await clock.pass(1_000);
  expect(lab.events.at(-1)).toMatchObject({ reason: "dns-limit", verdict: "refused", count: 7 });
  expect(rcode(await lab.ask("a.invalid"))).toBe("NXDOMAIN");
});

test("a placeholder in a question stops it, malformed or not, before its name is judged or anybody asked", async () => {
  const core = "abcdefghij234567abcdefghij";
  const text = `sbx-placeholder-${core}`;
  const carried: string[] = [];
  await using lab = await openLab(PUBLIC, [API], {
    tripwire: new Tripwire([{ name: "API_KEY", placeholder: { text, core } }]),
    onCarried: ([sighting], name) => void carried.push(`${sighting?.name} ${name}`),
    blocked: setOf(`.${text}.test`),
  });
  const refused = await lab.ask(`x.${text}.test`, "A", { additionals: [edns()] });
  expect([rcode(refused), extendedError(refused)]).toEqual(["REFUSED", "15 secret-violation"]);
  const transfer = await lab.ask(`${text}.test`, "AXFR");
  expect(rcode(transfer)).toBe("REFUSED");
  const twice = Buffer.concat([queryFor(`${text}.test`, "A"), Buffer.alloc(0)]);
  twice.writeUInt16BE(2, 4); // two questions, of which there is one
  expect((await lab.send(twice))?.[3]).toBe(0x81); // FORMERR, as without it
  expect(carried).toEqual([`API_KEY x.${text}.test`, `API_KEY ${text}.test`, "API_KEY "]);
  expect(lab.events.map(({ verdict, reason }) => `${verdict} ${reason}`))
    .toEqual(Array(3).fill("refused secret-violation"));
  expect(dataOf(await lab.ask("api.allowed.test"))).toEqual(["93.184.216.34"]);
  expect(lab.server.received).toHaveLength(1);
});

import { describe, expect, test } from "bun:test";
import { type JournalRecord, parseLine } from "../../lib/journal/format.ts";
import { addressOf, isRefusal, partyOf } from "../../lib/journal/record.ts";
import { readParty, selects } from "../../lib/journal/selection.ts";
import { spell, spellBytes } from "../../lib/journal/spell.ts";
import { OTHERS, Totals } from "../../lib/journal/totals.ts";

function record(event: string, fields: Record<string, unknown> = {}): JournalRecord {
  return { time: "2026-01-02T03:04:05.678Z", event, fields };
}

const flow = (name?: string, destination = "93.184.216.34:443") => ({
  direction: "outbound",
  protocol: "tcp",
  source: "192.168.127.2:4000",
  destination,
  ...(name === undefined ? {} : { name }),
});

test("what is no object with a time and an event is no line", () => {
  for (const line of ["", "x", "[]", "null", "7", "{}", '{"time":1,"event":"end"}']) {
    expect(parseLine(line)).toBeNull();
  }
  expect(parseLine('{"time":"t","event":"new","x":1}')).toEqual({
    time: "t",
    event: "new",
    fields: { x: 1 },
  });
});

test("fields of the wrong type are as good as none", () => {
  const odd = record("denied", { destination: 7, name: {}, rule: "x", direction: [] });
  expect([partyOf(odd), addressOf(odd)]).toEqual([undefined, undefined]);
  expect(spell(odd)).toEqual({ time: "03:04:05.678", event: "denied", what: "", why: "" });
});

test("addresses lose their port in every family", () => {
  const to = (destination: string) => addressOf(record("opened", flow(undefined, destination)));
  expect(["1.2.3.4:5", "1.2.3.4", "[2001:db8::1]:443", "2001:db8::1", "[", ":"].map(to))
    .toEqual(["1.2.3.4", "1.2.3.4", "2001:db8::1", "2001:db8::1", "", ""]);
  const inbound = { ...flow(), direction: "inbound" };
  expect(addressOf(record("opened", inbound))).toBe("192.168.127.2");
});

describe("a selection", () => {
  const lines = [
    record("opened", flow("api.example.com")),
    record("dns", { name: "EXAMPLE.com", verdict: "refused" }),
    record("dns", { name: "notexample.com", verdict: "answered" }),
    record("request", { host: "www.example.com", reason: "rule" }),
    record("denied", flow(undefined, "10.0.0.5:1")),
    record("end"),
  ];
  const chosen = (host: string | null, denied = false) => {
    const party = host === null ? null : readParty(host);
    return lines.flatMap((line, index) => selects({ denied, party }, line) ? [index] : []);
  };

  test("by name, suffix or address", () => {
    expect(chosen("api.example.com")).toEqual([0]);
    expect(chosen(".example.com")).toEqual([0, 1, 3]);
    expect(chosen("*.example.com")).toEqual([0, 1, 3]);
    expect(chosen("93.184.216.34")).toEqual([0]);
    expect(chosen("10.0.0.5")).toEqual([4]);
  });

  test("of refusals", () => {
    expect(chosen(null, true)).toEqual([1, 3, 4]);
    expect(chosen(".example.com", true)).toEqual([1, 3]);
  });

  test("is refused where it is neither a name nor an address", () => {
    expect([readParty("a b"), readParty(""), readParty(".com")]).toEqual([null, null, null]);
  });
});

test("every event that the journal has is spelt, and unknown ones are kept", () => {
  expect(spell(record("later", { a: 1 })).what).toBe('{"a":1}');
  expect(spell(record("lost", { lines: 1 }))).toMatchObject({ what: "1 line" });
  expect(isRefusal(record("suppressed"))).toBe(true);
});

test("what secrets did is spelt with whom it was for, and is no traffic or refusal beside its flow's", () => {
  const sent = record("secret", {
    flow: 1,
    name: "API_KEY",
    host: "api.test",
    what: "sent",
    place: "header",
    count: 2,
  });
  const astray = record("secret-violation", {
    names: ["API_KEY"],
    route: "dns",
    to: "x.evil.test",
    disguises: ["base64%"],
    action: "block",
  });
  expect(spell(sent)).toMatchObject({ what: "API_KEY sent to api.test", why: "header × 2" });
  expect(spell(astray)).toMatchObject({
    event: "violation",
    what: "API_KEY to x.evil.test",
    why: "dns, base64%: block",
  });
  expect([partyOf(sent), partyOf(astray)]).toEqual(["api.test", "x.evil.test"]);
  expect([isRefusal(sent), isRefusal(astray)]).toEqual([false, true]);
  const totals = new Totals();
  totals.add(sent);
  totals.add(astray);
  expect(totals.hosts).toEqual([]);
});

test("nothing that a changed file holds reaches the terminal raw", () => {
  const nasty = "\u001b[2J\u009b1m\u202e\r\n";
  const line = record(`denied${nasty}`, { ...flow(nasty), reason: nasty, detail: nasty });
  const { time, event, what, why } = spell({ ...line, time: nasty });
  // deno-lint-ignore no-control-regex
  expect([time, event, what, why].join("")).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202e]/);
});

test("bytes have three figures", () => {
  expect([0, 512, 999, 999.6, 1000, 1500, 30_200_000, 999_600, 1e15].map(spellBytes)).toEqual(
    ["0 B", "512 B", "999 B", "1 kB", "1 kB", "1.5 kB", "30.2 MB", "1 MB", "1000 TB"],
  );
});

test("totals add up by host, and a guest that invents names fills one row", () => {
  const totals = new Totals();
  totals.add(record("opened", flow("a.test")));
  totals.add(record("closed", { ...flow("a.test"), up: 1, down: 2 }));
  totals.add(record("request", { host: "a.test" }));
  totals.add(record("dns", { name: "quiet.test", verdict: "answered" }));
  for (let i = 0; i < 10_010; i++) {
    totals.add(record("dns", { name: `n${i}.test`, verdict: "refused" }));
  }
  const { hosts } = totals;
  expect(hosts[0]).toEqual({ host: "a.test", flows: 1, requests: 1, up: 1, down: 2, denied: 0 });
  expect(hosts.find(({ host }) => host === OTHERS)?.denied).toBe(11);
  expect(hosts.some(({ host }) => host === "quiet.test")).toBe(false);
  expect(hosts.length).toBe(10_001);
});

/** Placeholders in what flows say first, and what becomes of flows that can be looked at. */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { firstBytes } from "../../lib/judge/first_bytes.ts";
import { judgeFirst, judgeRetry } from "../../lib/judge/first_flight.ts";
import { hintFor } from "../../lib/judge/hint.ts";
import { judgeOpening } from "../../lib/judge/opening.ts";
import { simulate } from "../../lib/judge/simulate.ts";
import { snapshotOf } from "../../lib/judge/snapshot.ts";
import type { Policy } from "../../lib/policy/model/policy.ts";
import { allowAll, publicOnly } from "../../lib/policy/model/presets.ts";
import { parseRule } from "../../lib/policy/text/grammar.ts";
import { Tripwire } from "../../lib/secret/tripwire.ts";
import { info, MACHINE, PINS } from "./attempt.ts";

const KEY = {
  text: "sbx-placeholder-abcdefghij234567abcdefghij",
  core: "abcdefghij234567abcdefghij",
};
const vault = { tripwire: new Tripwire([{ name: "API_KEY", placeholder: KEY }]) };
const EVIL = info("tcp", "45.33.32.156", 443);

const watching = (policy: Policy = allowAll()) => snapshotOf({ policy, vault }, MACHINE, PINS);
const hello = (sni: string) => firstBytes({ kind: "tls", sni });
const text = (words: string) => Buffer.from(words, "latin1");
const judge = (bytes: Uint8Array, snapshot = watching(), to = EVIL) =>
  judgeFirst(snapshot, to, bytes, "complete");

test.each<[string, Uint8Array, string, string]>([
  ["a ClientHello", hello(`${KEY.text}.evil.test`), "tls-name", "API_KEY"],
  ["one that is cut", hello(`${KEY.text}.evil.test`).subarray(0, -3), "tls-name", ""],
  ["any bytes", text(`USER ${KEY.text}\r\n`), "stream", "API_KEY"],
  [
    "base64 in them",
    text(`\0${Buffer.from(KEY.text).toString("base64")}`),
    "stream",
    "API_KEY in base64",
  ],
  ["a request to a proxy", text(`CONNECT ${KEY.text}:1 HTTP/1.1\r\n\r\n`), "stream", "API_KEY"],
])("%s with a placeholder goes nowhere", (_what, bytes, route, detail) => {
  const { ruling, carried } = judge(bytes);
  expect(ruling.action).toBe("deny");
  expect(carried).toMatchObject({ route, sightings: [{ name: "API_KEY" }] });
  // What is no whole hello is refused for that.
  expect([ruling.reason, ruling.detail ?? ""].join(" "))
    .toBe(detail === "" ? "sni-invalid an unfinished ClientHello" : `secret-violation ${detail}`);
});

test.each<[string, Uint8Array]>([
  ["a ClientHello", hello("evil.test")],
  ["any bytes", text("SSH-2.0-x\r\n")],
  ["all of a placeholder but its end", text(`USER ${KEY.text.slice(0, -1)}\r\n`)],
])("%s without one passes as ever", (_what, bytes) => {
  const { carried, ruling } = judge(bytes);
  expect([carried, ruling.action]).toEqual([undefined, "allow"]);
});

test("requests are left to whoever relays them, and those to a proxy are watched to their end", () => {
  const origin = judge(text(`GET /${KEY.text} HTTP/1.1\r\nHost: evil.test\r\n\r\n`));
  expect([origin.ruling.serve, origin.carried]).toEqual(["http", undefined]);
  const asked = text("GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n");
  expect(judge(asked).ruling).toMatchObject({ action: "redirect", serve: "proxy" });
});

test("what policy denies is denied for that, is told of, and has no hint that would not help", () => {
  const none = { ...publicOnly(), rules: [parseRule("deny@evil.test"), ...publicOnly().rules] };
  const bytes = text(`GET / HTTP/1.1\r\nHost: evil.test\r\nA: ${KEY.text}\r\n\r\n`);
  const { ruling, carried } = judge(bytes, watching(none));
  expect([ruling.reason, carried?.route]).toEqual(["rule", "stream"]);
  const closed = { ...allowAll(), defaults: { outbound: "deny", inbound: "deny" } } as const;
  const blocked = watching({ ...closed, rules: [parseRule("allow@good.test")] });
  const refused = judge(hello(KEY.text + ".evil.test"), blocked).ruling;
  expect(hintFor(blocked, { kind: "flow", info: EVIL, ruling: refused })).toBeNull();
});

test("a second hello is looked at as well", () => {
  const first = { info: EVIL, ruling: judge(hello("evil.test")).ruling, stated: "evil.test" };
  const retry = (alpn: readonly string[]) =>
    judgeRetry(watching(), first, firstBytes({ kind: "tls", sni: "evil.test", alpn }), "complete");
  expect(retry(["h2"]).ruling.action).toBe("allow");
  expect(retry([KEY.text])).toMatchObject({
    ruling: { action: "deny", reason: "secret-violation" },
    carried: { route: "tls-name" },
  });
});

test("datagrams come to be looked at where policy allows them, and nothing repeats that", () => {
  const to = info("udp", "45.33.32.156", 7);
  expect(judgeOpening(watching(), to)).toEqual({
    action: "redirect",
    serve: "datagrams",
    reason: "default",
    name: "evil.test",
  });
  expect(simulate(watching(), { info: to }).verdict).toBe("allow");
  expect(judgeOpening(watching(publicOnly()), info("udp", "10.9.9.9", 7)).action).toBe("deny");
  const plain = snapshotOf({ policy: allowAll() }, MACHINE, PINS);
  expect(judgeOpening(plain, to).action).toBe("allow");
  for (const proto of ["icmpv4", "udp"] as const) {
    const inbound = { ...to, proto, dir: proto === "udp" ? "inbound" : "outbound" } as const;
    expect(judgeOpening(watching(), inbound).serve).toBeUndefined();
  }
});

import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { Pins } from "../../lib/dns/pins.ts";
import { judgeFirst } from "../../lib/judge/first_flight.ts";
import type { FlowInfo } from "../../lib/judge/flow_info.ts";
import { judgeOpening } from "../../lib/judge/opening.ts";
import { judgeRequest } from "../../lib/judge/request.ts";
import { type Snapshot, snapshotOf } from "../../lib/judge/snapshot.ts";
import { DEFAULT_TLS, type TlsSettings } from "../../lib/policy/model/tls_settings.ts";
import { NameSet } from "../../lib/policy/model/name_set.ts";
import { parseRule } from "../../lib/policy/text/grammar.ts";
import { parseSecret } from "../../lib/policy/text/secret_declaration.ts";
import { readInterception } from "../../lib/tls/interception.ts";
import vectors from "../vectors/client_hellos.json" with { type: "json" };

const ADDRESS = "93.184.216.34";
const OTHER = "45.33.32.156";

/** States api.allowed.test. */
const HELLO = Buffer.from(vectors[0]?.bytes ?? "", "base64");

function snapshot(
  { rules = [], tls = {}, secrets = [], outbound = "allow" }: {
    rules?: readonly string[];
    tls?: Partial<TlsSettings>;
    secrets?: readonly string[];
    outbound?: "allow" | "deny";
  },
): Snapshot {
  const pins = new Pins();
  pins.learn("api.allowed.test", ADDRESS, 600);
  const policy = {
    network: true,
    rules: rules.map(parseRule),
    defaults: { outbound, inbound: "allow" },
    denyWith: "drop",
  } as const;
  const interception = readInterception({ ...DEFAULT_TLS, intercept: true, ...tls }, {
    secrets: secrets.map(parseSecret),
  });
  return snapshotOf({ policy, interception }, { addresses: [], links: [] }, pins);
}

function flow(to: Partial<FlowInfo> = {}): FlowInfo {
  return {
    proto: "tcp",
    dir: "outbound",
    src: "192.168.127.2",
    sport: 40_000,
    dst: ADDRESS,
    dport: 443,
    ...to,
  };
}

describe("judgeOpening() of an intercepted port", () => {
  test("asks for the hello of what addresses alone would allow, and never lets it be remembered", () => {
    const ruling = judgeOpening(snapshot({}), flow());
    expect(ruling).toMatchObject({ action: "inspect" });
    expect(ruling.ttlMs).toBeUndefined();
  });

  test("denies what addresses alone deny without a look", () => {
    expect(judgeOpening(snapshot({ rules: [`deny@${ADDRESS}`] }), flow()))
      .toMatchObject({ action: "deny", reason: "rule" });
  });

  test.each<[string, Partial<FlowInfo>, Partial<TlsSettings>]>([
    ["another port", { dport: 8443 }, {}],
    ["an inbound flow", { dir: "inbound" }, {}],
    ["QUIC where it may pass", { proto: "udp" }, { blockQuic: false }],
    ["UDP to another port", { proto: "udp", dport: 8443 }, {}],
  ])("is not about %s", (_what, to, tls) => {
    expect(judgeOpening(snapshot({ tls }), flow(to))).toMatchObject({ action: "allow" });
  });

  test("refuses QUIC at once, unless policy denies it anyway", () => {
    expect(judgeOpening(snapshot({}), flow({ proto: "udp" })))
      .toMatchObject({ action: "deny", reason: "quic", reject: true });
    expect(judgeOpening(snapshot({ outbound: "deny" }), flow({ proto: "udp" })))
      .toMatchObject({ action: "deny", reason: "default" });
  });
});

describe("judgeFirst() of an intercepted port", () => {
  const bypass = { bypass: ["api.allowed.test"] };

  test("redirects an allowed hello, and hands on what it offers", () => {
    const { ruling, stated, hello } = judgeFirst(snapshot({}), flow(), HELLO, "complete");
    expect(ruling).toMatchObject({ action: "redirect", tls: "intercepted" });
    expect([stated, hello?.alpn]).toEqual(["api.allowed.test", ["h2", "http/1.1"]]);
  });

  test("lets a bypassed name through only to an address that it was resolved to", () => {
    expect(judgeFirst(snapshot({ tls: bypass }), flow(), HELLO, "complete").ruling)
      .toMatchObject({ action: "allow", tls: "bypassed" });
    expect(judgeFirst(snapshot({ tls: bypass }), flow({ dst: OTHER }), HELLO, "complete").ruling)
      .toMatchObject({ action: "redirect", tls: "intercepted" });
  });

  test("denies a bypassed name that policy denies", () => {
    const denying = snapshot({ tls: bypass, rules: ["deny@api.allowed.test"] });
    expect(judgeFirst(denying, flow(), HELLO, "complete").ruling)
      .toMatchObject({ action: "deny", reason: "rule" });
  });

  test.each<[string, Uint8Array, "complete" | "timeout" | "eof", string]>([
    ["silence", new Uint8Array(), "timeout", "tls-expected"],
    ["an end at once", new Uint8Array(), "eof", "tls-expected"],
    [
      "plain HTTP",
      Buffer.from("GET / HTTP/1.1\r\nHost: api.allowed.test\r\n\r\n"),
      "complete",
      "tls-expected",
    ],
    ["SSLv2", Uint8Array.of(0x80, 46, 1, 3, 1), "complete", "sni-invalid"],
    ["half a hello", HELLO.subarray(0, 100), "timeout", "sni-invalid"],
  ])("denies %s", (_what, bytes, end, reason) => {
    expect(judgeFirst(snapshot({}), flow(), bytes, end).ruling).toMatchObject({
      action: "deny",
      reason,
    });
  });
});

describe("with a secret and no interception", () => {
  const secret = (host = "api.allowed.test", more: Partial<TlsSettings> = {}) =>
    snapshot({ secrets: [`TOKEN@${host}`], tls: { intercept: false, ...more } });
  const HTTP = Buffer.from("GET / HTTP/1.1\r\nHost: api.allowed.test\r\n\r\n");

  test.each([22, 80, 443, 8443])("every TCP flow is listened to, to port %d as well", (dport) => {
    const ruling = judgeOpening(secret(), flow({ dport, dst: OTHER }));
    expect(ruling).toMatchObject({ action: "inspect" });
    expect(ruling.ttlMs).toBeUndefined();
    expect(judgeOpening(snapshot({ tls: { intercept: false } }), flow({ dport, dst: OTHER })))
      .toMatchObject({ action: "allow" });
  });

  test("a server that greets is waited for no longer than with a block list", () => {
    const blocking = { ...snapshot({ tls: { intercept: false } }), blocked: new NameSet() };
    blocking.blocked.addName("ads.test");
    for (const dport of [22, 443]) {
      expect(judgeOpening(secret(), flow({ dport })).waitMs)
        .toBe(judgeOpening(blocking, flow({ dport })).waitMs);
    }
    expect(judgeFirst(secret(), flow({ dport: 22 }), new Uint8Array(), "timeout").ruling)
      .toMatchObject({ action: "inspect" });
  });

  test.each([
    ["api.allowed.test", 443],
    ["*.allowed.test", 443],
    ["api.allowed.test", 8443],
    ["api.allowed.test", 25],
  ])("TLS that names %s is opened on port %d", (host, dport) => {
    const { ruling, stated, hello } = judgeFirst(secret(host), flow({ dport }), HELLO, "complete");
    expect(ruling).toMatchObject({
      action: "redirect",
      serve: "interception",
      tls: "intercepted",
    });
    expect([stated, hello?.sni]).toEqual(["api.allowed.test", "api.allowed.test"]);
  });

  test("TLS for another name, and what is no TLS, goes its way", () => {
    const other = judgeFirst(secret("files.allowed.test"), flow(), HELLO, "complete");
    expect(other).toMatchObject({ ruling: { action: "allow" }, tls: true });
    expect(other.ruling.tls).toBeUndefined();
    expect(judgeFirst(secret(), flow(), HTTP, "complete").ruling).toMatchObject({ serve: "http" });
    expect(judgeFirst(secret(), flow(), Buffer.from("SSH-2.0-x\r\n"), "complete").ruling)
      .toMatchObject({ action: "allow" });
  });

  test("neither a bypass nor another port leaves its TLS closed", () => {
    const tls = { intercept: true, bypass: ["api.allowed.test"] };
    for (const more of [tls, { ...tls, ports: [8443] }]) {
      expect(judgeFirst(secret("api.allowed.test", more), flow(), HELLO, "complete").ruling)
        .toMatchObject({ action: "redirect", tls: "intercepted" });
    }
  });

  test("what policy denies is denied, opened or not", () => {
    const denying = snapshot({
      secrets: ["TOKEN@api.allowed.test"],
      tls: { intercept: false },
      rules: ["deny@api.allowed.test"],
    });
    expect(judgeFirst(denying, flow(), HELLO, "complete").ruling)
      .toMatchObject({ action: "deny", reason: "rule" });
  });

  test("QUIC to an address of its hosts is refused, for as long as it is one", () => {
    const quic = judgeOpening(secret(), flow({ proto: "udp" }));
    expect(quic).toMatchObject({ action: "deny", reason: "quic", reject: true });
    expect(quic.ttlMs).toBeUndefined();
    const pinless = judgeOpening(secret(), flow({ proto: "udp", dst: OTHER }));
    expect(pinless).toMatchObject({ action: "allow" });
    expect(pinless.ttlMs).toBeUndefined();
  });

  test.each<[string, Partial<FlowInfo>, Partial<TlsSettings>]>([
    ["on another port", { dport: 8443 }, {}],
    ["where it may pass", {}, { blockQuic: false }],
    ["from outside", { dir: "inbound" }, {}],
  ])("UDP passes %s", (_what, to, tls) => {
    expect(judgeOpening(secret("api.allowed.test", tls), flow({ proto: "udp", ...to })))
      .toMatchObject({ action: "allow" });
  });
});

describe("judgeRequest()", () => {
  const hello = { alpn: [], versions: [], ciphers: [] };
  const named = { info: flow(), hello: { ...hello, sni: "api.allowed.test" } };
  const nameless = { info: flow(), hello: { ...hello, sni: null } };

  test("lets what the session named pass", () => {
    expect(judgeRequest(snapshot({}), named, { host: "api.allowed.test" })).toBeNull();
  });

  test("judges the host of a session without a name by policy and pins", () => {
    const strict = snapshot({ outbound: "deny", rules: ["allow@api.allowed.test"] });
    expect(judgeRequest(strict, nameless, { host: "api.allowed.test" })).toBeNull();
    expect(judgeRequest(strict, nameless, { host: "evil.test" })).toEqual({ reason: "default" });
    expect(judgeRequest(strict, nameless, { host: ADDRESS })).toBeNull();
    expect(judgeRequest(strict, nameless, { host: OTHER }))
      .toEqual({ reason: "host-mismatch", detail: OTHER });
  });
});

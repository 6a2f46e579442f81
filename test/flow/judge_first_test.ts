import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { Pins } from "../../lib/dns/pins.ts";
import type { FlowInfo } from "../../lib/flow/control_message.ts";
import { type Court, judgeOpening } from "../../lib/flow/judge.ts";
import { judgeFirst } from "../../lib/flow/judge_first.ts";
import { judgeRequest } from "../../lib/flow/judge_request.ts";
import { compilePolicy } from "../../lib/policy/compile.ts";
import { parseRule } from "../../lib/policy/grammar.ts";
import { NameSet } from "../../lib/policy/name_set.ts";
import { DEFAULT_TLS, type TlsSettings } from "../../lib/policy/tls_settings.ts";
import { readInterception } from "../../lib/tls/interception.ts";
import vectors from "../vectors/client_hellos.json" with { type: "json" };

const ADDRESS = "93.184.216.34";
const OTHER = "45.33.32.156";

/** States api.allowed.test. */
const HELLO = Buffer.from(vectors[0]?.bytes ?? "", "base64");

function court(
  { rules = [], tls = {}, outbound = "allow" }: {
    rules?: readonly string[];
    tls?: Partial<TlsSettings>;
    outbound?: "allow" | "deny";
  },
): Court {
  const pins = new Pins();
  pins.learn("api.allowed.test", ADDRESS, 600);
  return {
    compiled: compilePolicy({
      network: true,
      rules: rules.map(parseRule),
      defaults: { outbound, inbound: "allow" },
      denyWith: "drop",
    }),
    pins,
    blocked: new NameSet(),
    doh: null,
    tls: readInterception({ ...DEFAULT_TLS, intercept: true, ...tls }),
    hosts: new Set(),
    gateways: new Set(),
    epoch: 1,
  };
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
    const ruling = judgeOpening(court({}), flow());
    expect(ruling).toMatchObject({ action: "inspect" });
    expect(ruling.ttlMs).toBeUndefined();
  });

  test("denies what addresses alone deny without a look", () => {
    expect(judgeOpening(court({ rules: [`deny@${ADDRESS}`] }), flow()))
      .toMatchObject({ action: "deny", reason: "rule" });
  });

  test.each<[string, Partial<FlowInfo>, Partial<TlsSettings>]>([
    ["another port", { dport: 8443 }, {}],
    ["an inbound flow", { dir: "inbound" }, {}],
    ["QUIC where it may pass", { proto: "udp" }, { blockQuic: false }],
    ["UDP to another port", { proto: "udp", dport: 8443 }, {}],
  ])("is not about %s", (_what, to, tls) => {
    expect(judgeOpening(court({ tls }), flow(to))).toMatchObject({ action: "allow" });
  });

  test("refuses QUIC at once, unless policy denies it anyway", () => {
    expect(judgeOpening(court({}), flow({ proto: "udp" })))
      .toMatchObject({ action: "deny", reason: "quic", reject: true });
    expect(judgeOpening(court({ outbound: "deny" }), flow({ proto: "udp" })))
      .toMatchObject({ action: "deny", reason: "default" });
  });
});

describe("judgeFirst() of an intercepted port", () => {
  const bypass = { bypass: ["api.allowed.test"] };

  test("redirects an allowed hello, and hands on what it offers", () => {
    const { ruling, stated, hello } = judgeFirst(court({}), flow(), HELLO, "complete");
    expect(ruling).toMatchObject({ action: "redirect", tls: "intercepted" });
    expect([stated, hello?.alpn]).toEqual(["api.allowed.test", ["h2", "http/1.1"]]);
  });

  test("lets a bypassed name through only to an address that it was resolved to", () => {
    expect(judgeFirst(court({ tls: bypass }), flow(), HELLO, "complete").ruling)
      .toMatchObject({ action: "allow", tls: "bypassed" });
    expect(judgeFirst(court({ tls: bypass }), flow({ dst: OTHER }), HELLO, "complete").ruling)
      .toMatchObject({ action: "redirect", tls: "intercepted" });
  });

  test("denies a bypassed name that policy denies", () => {
    const denying = court({ tls: bypass, rules: ["deny@api.allowed.test"] });
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
    ["SSLv2", Uint8Array.of(0x80, 46, 1, 3, 1), "complete", "tls-expected"],
    ["half a hello", HELLO.subarray(0, 100), "timeout", "sni-invalid"],
  ])("denies %s", (_what, bytes, end, reason) => {
    expect(judgeFirst(court({}), flow(), bytes, end).ruling).toMatchObject({
      action: "deny",
      reason,
    });
  });
});

describe("judgeRequest()", () => {
  const hello = { alpn: [], versions: [], ciphers: [], ech: false };
  const named = { info: flow(), hello: { ...hello, sni: "api.allowed.test" } };
  const nameless = { info: flow(), hello: { ...hello, sni: null } };

  test("lets what the session named pass", () => {
    expect(judgeRequest(court({}), named, { host: "api.allowed.test" })).toBeNull();
  });

  test("judges the host of a session without a name by policy and pins", () => {
    const strict = court({ outbound: "deny", rules: ["allow@api.allowed.test"] });
    expect(judgeRequest(strict, nameless, { host: "api.allowed.test" })).toBeNull();
    expect(judgeRequest(strict, nameless, { host: "evil.test" })).toEqual({ reason: "default" });
    expect(judgeRequest(strict, nameless, { host: ADDRESS })).toBeNull();
    expect(judgeRequest(strict, nameless, { host: OTHER }))
      .toEqual({ reason: "host-mismatch", detail: OTHER });
  });
});

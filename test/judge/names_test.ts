/**
 * What is decided about a flow by its port, its address and its first bytes, in every case without a network.
 */
import { Buffer } from "node:buffer";
import { describe, expect, test } from "bun:test";
import { dohNames } from "../../lib/dns/doh_endpoints.ts";
import { judgeFirst } from "../../lib/judge/first_flight.ts";
import type { FlowInfo } from "../../lib/judge/flow_info.ts";
import { judgeOpening } from "../../lib/judge/opening.ts";
import { judgePlainRequest } from "../../lib/judge/request.ts";
import { type Snapshot, snapshotOf } from "../../lib/judge/snapshot.ts";
import { fixedPins } from "../../lib/policy/model/fixed_pins.ts";
import { policyOf, setOf } from "../dns/fixture.ts";
import vectors from "../vectors/client_hellos.json" with { type: "json" };

const GOOD = { name: "good.cdn.test", address: "104.16.1.1" };

/** Blocks nothing. */
const FREE = { blocked: setOf() };

function snapshot(policy: ReturnType<typeof policyOf>, more: Partial<Snapshot> = {}): Snapshot {
  const settings = { policy, blocked: setOf(".ads.test") };
  return { ...snapshotOf(settings, { addresses: [], links: [] }, fixedPins([GOOD])), ...more };
}

function flow(proto: "tcp" | "udp", dst: string, dport: number): FlowInfo {
  return { proto, dir: "outbound", src: "192.168.127.2", sport: 40_000, dst, dport };
}

describe("a new flow", () => {
  const open = snapshot(policyOf("allow"), FREE);

  test("to port 53 is answered here, whatever the policy", () => {
    for (const policy of [policyOf("allow"), policyOf("deny"), policyOf("deny", "deny@any")]) {
      for (const proto of ["tcp", "udp"] as const) {
        expect(judgeOpening(snapshot(policy), flow(proto, "9.9.9.9", 53)).action).toBe("redirect");
      }
    }
  });

  test.each<["tcp" | "udp", number]>([
    ["tcp", 853],
    ["udp", 853],
    ["udp", 784],
    ["udp", 8853],
    ["udp", 5353],
    ["udp", 5355],
    ["udp", 137],
  ])("to another port for names, %s %d, is refused at once, whatever the policy", (proto, port) => {
    for (const policy of [policyOf("allow"), policyOf("allow", "allow@9.9.9.9")]) {
      const { action, reason, reject } = judgeOpening(
        snapshot(policy),
        flow(proto, "9.9.9.9", port),
      );
      expect([action, reason, reject]).toEqual(["deny", "dns-transport", true]);
    }
  });

  test("to a known DNS-over-HTTPS service is refused where that is asked for", () => {
    const blocking = snapshot(policyOf("allow"), { doh: dohNames(), ...FREE });
    for (const address of ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"]) {
      for (const proto of ["tcp", "udp"] as const) {
        expect(judgeOpening(blocking, flow(proto, address, 443)).reason).toBe("dns-transport");
        expect(judgeOpening(open, flow(proto, address, 443)).action).toBe("allow");
      }
      // Their names may be stated to any address.
      expect(judgeOpening(blocking, flow("tcp", address, 80)).action).toBe("inspect");
      expect(judgeOpening(blocking, flow("udp", address, 80)).action).toBe("allow");
    }
    expect(judgeOpening(blocking, flow("tcp", "93.184.216.34", 443)).action).toBe("inspect");
  });

  test("may be judged again from memory only where names have no say", () => {
    const ttl = (...rules: string[]) =>
      judgeOpening(snapshot(policyOf("deny", ...rules), FREE), flow("tcp", "93.184.216.34", 443))
        .ttlMs;
    expect(ttl("allow@93.184.216.0/24")).toBeGreaterThan(0);
    expect(ttl("allow@93.184.216.0/24", "allow@x.test")).toBeGreaterThan(0);
    expect(ttl("allow@x.test", "allow@93.184.216.0/24")).toBeUndefined();
    expect(ttl("allow@x.test")).toBeUndefined();
    expect(ttl("allow@x.test:tcp:80", "allow@93.184.216.0/24")).toBeGreaterThan(0);
  });

  test("is looked into where names are blocked, though no rule is about names", () => {
    const blocking = snapshot(policyOf("deny", "allow@93.184.216.0/24"));
    const opening = (proto: "tcp" | "udp", address: string) =>
      judgeOpening(blocking, flow(proto, address, 443));
    expect(opening("tcp", "93.184.216.34")).toMatchObject({ action: "inspect" });
    expect(opening("tcp", "93.184.216.34").ttlMs).toBeUndefined();
    expect(opening("tcp", "9.9.9.9")).toMatchObject({ action: "deny", reason: "default" });
    expect(opening("udp", "93.184.216.34")).toMatchObject({ action: "allow" });
    const inbound = {
      ...flow("tcp", "192.168.127.2", 80),
      dir: "inbound",
      src: "10.0.0.1",
    } as const;
    expect(judgeOpening(snapshot(policyOf("allow")), inbound).action).not.toBe("inspect");
  });
});

describe("the first bytes of a flow", () => {
  const ALLOW = policyOf("deny", "allow@good.cdn.test");
  const DENY = policyOf("allow", "deny@bad.cdn.test");
  const get = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const hello = Buffer.from(vectors[0]?.bytes ?? "", "base64").toString("latin1");
  const proxied = "GET http://good.cdn.test/ HTTP/1.1\r\nHost: good.cdn.test\r\n\r\n";
  const connect = "CONNECT good.cdn.test:443 HTTP/1.1\r\nHost: good.cdn.test:443\r\n\r\n";

  test.each<[string, typeof ALLOW, string, string]>([
    ["a request for the allowed name", ALLOW, get("good.cdn.test"), "redirect http"],
    ["a request that names no host", ALLOW, get("104.16.1.1"), "redirect http"],
    ["a request for its neighbour", ALLOW, get("bad.cdn.test"), "deny default"],
    ["a request to a proxy", ALLOW, proxied, "redirect http"],
    ["a tunnel of a proxy", ALLOW, connect, "redirect http"],
    ["no request and no TLS", ALLOW, "SSH-2.0-guest\r\n", "allow rule"],
    ["a hello for another name", ALLOW, hello, "deny default"],
    ["a request for any other name", DENY, get("good.cdn.test"), "redirect http"],
    ["a request for the denied name", DENY, get("bad.cdn.test"), "deny rule"],
    ["a request to a proxy, for any other name", DENY, proxied, "redirect proxy"],
    ["a tunnel of a proxy to any other name", DENY, connect, "redirect proxy"],
    ["a request for a blocked name", DENY, get("x.ads.test"), "deny blocked-name"],
    ["a hello for any other name", DENY, hello, "allow default"],
    [
      "a request with two hosts",
      DENY,
      "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
      "deny sni-invalid",
    ],
  ])("that are %s", (_, policy, text, outcome) => {
    const info = flow("tcp", GOOD.address, 80);
    const { ruling } = judgeFirst(
      snapshot(policy),
      info,
      Buffer.from(text, "latin1"),
      "complete",
    );
    expect(`${ruling.action} ${ruling.serve ?? ruling.reason}`).toBe(outcome);
  });

  test("that do not come leave the question open", () => {
    const nothing = new Uint8Array();
    const judge = (policy: typeof ALLOW, end: "timeout" | "eof") =>
      judgeFirst(snapshot(policy), flow("tcp", GOOD.address, 22), nothing, end).ruling.action;
    expect(judge(ALLOW, "timeout")).toBe("inspect");
    expect(judge(DENY, "timeout")).toBe("inspect");
    expect(judge(DENY, "eof")).toBe("allow");
  });
});

test("every request of plain HTTP is judged by the host that it states", () => {
  const info = flow("tcp", GOOD.address, 80);
  const judge = (policy: ReturnType<typeof policyOf>, host: string) =>
    judgePlainRequest(snapshot(policy), info, { host })?.reason ?? null;
  const allow = policyOf("deny", "allow@.cdn.test");
  expect(judge(allow, "good.cdn.test")).toBeNull();
  expect(judge(allow, "bad.cdn.test")).toBe("name-mismatch"); // under the rule, but not resolved to here
  expect(judge(allow, "evil.test")).toBe("default");
  expect(judge(allow, GOOD.address)).toBeNull(); // no name: by the pin alone
  const deny = policyOf("allow", "deny@bad.cdn.test");
  expect(judge(deny, "bad.cdn.test")).toBe("rule");
  expect(judge(deny, "evil.test")).toBeNull();
  expect(judge(deny, "x.ads.test")).toBe("blocked-name");
});

test("a denied name that was not resolved to its address is told as one that a rule would not open", () => {
  const judge = (host: string) => {
    const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const policy = snapshot(policyOf("deny", "allow@other.test"));
    return judgeFirst(policy, flow("tcp", GOOD.address, 80), bytes, "complete").ruling;
  };
  expect(judge("evil.test")).toMatchObject({ action: "deny", unpinned: true });
  expect(judge(GOOD.name).unpinned).toBeUndefined();
});

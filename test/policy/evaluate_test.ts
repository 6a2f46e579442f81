import { describe, expect, test } from "bun:test";
import { compilePolicy } from "../../lib/policy/decide/compile.ts";
import { evaluate } from "../../lib/policy/decide/evaluate.ts";
import { evaluateName } from "../../lib/policy/decide/evaluate_name.ts";
import { parsePolicyFile } from "../../lib/policy/file/load.ts";
import { fixedPins } from "../../lib/policy/model/fixed_pins.ts";
import type { FlowQuery } from "../../lib/policy/model/policy.ts";
import { allowAll, none, presetNamed, publicOnly } from "../../lib/policy/model/presets.ts";
import { parseFlow } from "../../lib/policy/text/flow_text.ts";

const HOSTS = new Set(["192.168.127.1", "151.101.9.2", "2606:4700:9::2", "127.0.0.1"]);

/** Rows are policy, flow, verdict with reason and rule. */
function verdictOf(policy: string, flow: string, more: Partial<FlowQuery> = {}): string {
  const compiled = compilePolicy(parsePolicyFile(policy, "p.yaml").policy);
  const { protocol, host, port } = parseFlow(flow);
  if (host.kind !== "address") throw new TypeError("flows go to addresses");
  const query: FlowQuery = {
    direction: "outbound",
    protocol,
    address: host.address,
    ...(port === undefined ? {} : { port }),
    phase: "final",
    ...more,
  };
  const pins = fixedPins([
    { name: "good.test", address: "104.16.1.1" },
    { name: "bad.test", address: "104.16.1.1" },
    { name: "home.test", address: "151.101.9.2" },
  ]);
  const { action, reason, rule } = evaluate(compiled, query, pins, HOSTS);
  return rule === undefined ? `${action} ${reason}` : `${action} ${reason} ${rule}`;
}

describe("addresses of the host", () => {
  const deny = (...rules: string[]) => `{default: deny, rules: [${rules.map((r) => `"${r}"`)}]}`;
  const rows: [string, string, string][] = [
    [deny(), "tcp 151.101.9.2:22", "deny host"],
    [deny("allow@151.101.0.0/16"), "tcp 151.101.9.2:22", "deny host"],
    [deny("allow@private"), "tcp 192.168.127.1:22", "deny host"],
    [deny("allow@home.test"), "tcp 151.101.9.2:22", "deny host"],
    [deny("allow@[2606:4700:9::/64]:tcp"), "tcp [2606:4700:9::2]:22", "deny host"],
    [deny("allow@64:ff9b::/96"), "tcp [64:ff9b::9765:902]:22", "deny default"],
    [deny("allow@host"), "tcp [64:ff9b::9765:902]:22", "deny default"],
    [deny("allow@151.101.9.2"), "tcp 151.101.9.2:22", "allow rule 0"],
    [deny("allow@host"), "tcp 151.101.9.2:22", "allow rule 0"],
    [deny("allow@any"), "tcp 151.101.9.2:22", "allow rule 0"],
    [deny("allow@loopback"), "tcp 127.0.0.1:22", "allow rule 0"],
    [deny("allow@0.0.0.0/0"), "tcp 127.0.0.1:22", "deny host"],
    ["default: allow", "tcp 151.101.9.2:22", "allow default"],
    ["{default: allow, rules: [deny@host]}", "tcp [64:ff9b::9765:902]:22", "deny rule 0"],
    ["{default: allow, rules: [deny@private]}", "tcp 192.168.127.1:22", "deny rule 0"],
  ];
  for (const [policy, flow, verdict] of rows) {
    test(`${policy}: ${flow}`, () => expect(verdictOf(policy, flow)).toBe(verdict));
  }
});

describe("guards", () => {
  const rows: [string, string, string][] = [
    ["default: allow", "udp 224.0.0.251:5353", "deny multicast"],
    ["default: allow", "udp [ff02::fb]:5353", "deny multicast"],
    ["default: allow", "udp [64:ff9b::e000:fb]:5353", "deny multicast"],
    ["default: deny", "udp 224.0.0.251:5353", "deny default"],
    ["{default: deny, rules: [allow@any]}", "udp 224.0.0.251:5353", "deny multicast"],
    ["{default: deny, rules: [allow@0.0.0.0/0]}", "udp 224.0.0.251:5353", "deny multicast"],
    ["{default: deny, rules: [allow@any:tcp]}", "udp 224.0.0.251:5353", "deny default"],
    ["{default: deny, rules: [allow@any, deny@multicast]}", "udp 224.0.0.251:5353", "deny rule 1"],
    ["default: deny", "tcp 240.0.0.1:9", "deny unroutable"],
    ["{default: deny, rules: [allow@any]}", "tcp 240.0.0.1:9", "deny unroutable"],
    ["{default: deny, rules: [allow@multicast]}", "udp 224.0.0.251:5353", "allow rule 0"],
    ["{default: deny, rules: [allow@224.0.0.0/24]}", "udp 224.0.0.251:5353", "allow rule 0"],
    ["default: allow", "udp 255.255.255.255:9", "deny unroutable"],
    ["default: allow", "tcp 240.0.0.1:9", "deny unroutable"],
    ["default: allow", "tcp [2002:f000:1::1]:9", "deny unroutable"],
    ["{default: deny, rules: [allow@240.0.0.1]}", "tcp 240.0.0.1:9", "deny unroutable"],
    ["{default: allow, rules: [deny@any]}", "tcp 240.0.0.1:9", "deny rule 0"],
  ];
  for (const [policy, flow, verdict] of rows) {
    test(`${policy}: ${flow}`, () => expect(verdictOf(policy, flow)).toBe(verdict));
  }

  test("do not concern peers, who are not going to be dialled", () => {
    const inbound = { direction: "inbound" } as const;
    const policy = "{default: deny, rules: [allow:inbound@private]}";
    expect(verdictOf(policy, "tcp 192.168.127.1:80", inbound)).toBe("allow rule 0");
  });
});

describe("names", () => {
  const list = "{default: deny, rules: ['allow@good.test:tcp:443']}";
  const hole = "{default: deny, rules: [deny@bad.test, allow@any]}";
  const opening = { phase: "opening" } as const;
  const rows: [string, string, Partial<FlowQuery>, string][] = [
    [list, "tcp 104.16.1.1:443", { name: "good.test" }, "allow rule 0"],
    [list, "tcp 104.16.1.1:443", { name: "bad.test" }, "deny default"],
    [list, "tcp 104.16.1.1:443", {}, "allow rule 0"],
    [list, "tcp 45.33.32.156:443", { name: "good.test" }, "deny default"],
    [list, "tcp 104.16.1.1:443", opening, "defer rule 0"],
    [list, "tcp 104.16.1.1:80", opening, "deny default"],
    [list, "tcp 45.33.32.156:443", opening, "deny default"],
    [hole, "tcp 104.16.1.1:443", { name: "good.test" }, "allow rule 1"],
    [hole, "tcp 104.16.1.1:443", {}, "deny rule 0"],
    [hole, "tcp 45.33.32.156:443", { name: "bad.test" }, "deny rule 0"],
    [hole, "tcp 45.33.32.156:443", opening, "defer rule 0"],
    [hole, "udp 45.33.32.156:443", opening, "allow rule 1"],
    ["{default: allow, rules: [allow@good.test]}", "tcp 104.16.1.1:1", opening, "allow rule 0"],
    ["{default: deny, rules: [deny@bad.test]}", "tcp 45.33.32.156:1", opening, "deny rule 0"],
  ];
  for (const [policy, flow, more, verdict] of rows) {
    test(`${policy}: ${flow} ${JSON.stringify(more)}`, () => {
      expect(verdictOf(policy, flow, more)).toBe(verdict);
    });
  }
});

test("a query that is no address is denied", () => {
  const query = { direction: "outbound", protocol: "tcp", phase: "final" } as const;
  for (const address of ["", "010.0.0.1", "x.com", "1.2.3.4:80"]) {
    const verdict = evaluate(
      compilePolicy(allowAll()),
      { ...query, address },
      fixedPins([]),
      HOSTS,
    );
    expect(verdict.action).toBe("deny");
  }
});

describe("presets", () => {
  const flow = (address: string): FlowQuery => ({
    direction: "outbound",
    protocol: "tcp",
    address,
    port: 80,
    phase: "opening",
  });
  const action = (policy: ReturnType<typeof none>, address: string) =>
    evaluate(compilePolicy(policy), flow(address), fixedPins([]), HOSTS).action;

  test("public-only opens the internet and resolves its names, nothing nearer", () => {
    expect(action(publicOnly(), "93.184.216.34")).toBe("allow");
    expect(action(publicOnly(), "2606:2800:220::34")).toBe("allow");
    const near = ["10.9.9.9", "192.168.127.1", "151.101.9.2", "2606:4700:9::2", "127.0.0.1"]
      .concat(["0.0.0.0", "::1", "169.254.169.254", "168.63.129.16", "fd12::9", "224.0.0.251"])
      .concat(["::ffff:10.9.9.9", "64:ff9b::a09:909", "2002:a09:909::1", "100.64.0.9"]);
    for (const address of near) {
      expect([address, action(publicOnly(), address)]).toEqual([address, "deny"]);
    }
    const compiled = compilePolicy(publicOnly());
    for (const transport of ["udp", "tcp"] as const) {
      expect(evaluateName(compiled, { name: "x.com", transport, port: 53 }).verdict).toBe(
        "resolve",
      );
    }
  });

  test("public-only leaves names to the default of a policy that extends it", () => {
    const strict = compilePolicy(
      parsePolicyFile("{extends: public-only, default: deny, rules: [allow@x.com]}", "p.yaml")
        .policy,
    );
    const verdict = (name: string) =>
      evaluateName(strict, { name, transport: "udp", port: 53 }).verdict;
    expect(verdict("x.com")).toBe("resolve");
    expect(verdict("secret.evil.test")).toBe("refuse");
  });

  test("none has no network, whatever its rules would say", () => {
    expect(none().network).toBe(false);
    const compiled = compilePolicy({ ...allowAll(), network: false });
    expect(evaluate(compiled, flow("93.184.216.34"), fixedPins([]), HOSTS).action).toBe("deny");
  });

  test("are found by name", () => {
    expect(presetNamed("allow-all")).toEqual(allowAll());
    expect(presetNamed("none")).toEqual(none());
    expect(presetNamed("public-only")).toEqual(publicOnly());
    expect(presetNamed("toString")).toBeNull();
  });
});

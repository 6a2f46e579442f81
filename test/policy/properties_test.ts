import { expect, test } from "bun:test";
import fc from "fast-check";
import { embeddedIPv4, parseAddress } from "../../lib/base/address.ts";
import { compilePolicy } from "../../lib/policy/decide/compile.ts";
import { evaluate, nameMayCome } from "../../lib/policy/decide/evaluate.ts";
import { evaluateName } from "../../lib/policy/decide/evaluate_name.ts";
import { explain } from "../../lib/policy/decide/explain.ts";
import { explainName } from "../../lib/policy/decide/explain_name.ts";
import { warnings } from "../../lib/policy/decide/warnings.ts";
import { fixedPins } from "../../lib/policy/model/fixed_pins.ts";
import { inGroup } from "../../lib/policy/model/groups.ts";
import { oracle, oracleOutcomes } from "./oracle.ts";
import { anyFlow, anyHosts, anyName, anyPins, anyPolicy } from "./random_policy.ts";

const RUNS = { numRuns: 4_000 };

test("a compiled policy decides as a walk through its rules does", () => {
  fc.assert(
    fc.property(anyPolicy, anyFlow, anyPins, anyHosts, (policy, flow, pins, hosts) => {
      fc.pre(!nameMayCome(flow));
      const verdict = evaluate(compilePolicy(policy), flow, fixedPins(pins), hosts);
      const expected = oracle(policy, flow, pins, hosts);
      expect<unknown>({ action: verdict.action, rule: verdict.rule ?? null }).toEqual(expected);
    }),
    RUNS,
  );
});

test("an opening flow is decided at once only when no name could lead elsewhere", () => {
  fc.assert(
    fc.property(anyPolicy, anyFlow, anyPins, anyHosts, (policy, flow, pins, hosts) => {
      const { name: _, ...nameless } = flow;
      const opening = { ...nameless, phase: "opening" as const };
      fc.pre(nameMayCome(opening));
      const { action } = evaluate(compilePolicy(policy), opening, fixedPins(pins), hosts);
      if (action === "defer") return;
      const names = policy.rules.flatMap(({ destination }) =>
        destination.kind === "domain"
          ? [destination.name]
          : destination.kind === "suffix"
          ? [destination.suffix, `deep.${destination.suffix}`]
          : []
      );
      const outcomes = oracleOutcomes(policy, opening, pins, hosts, [...names, "other.test"]);
      expect([...outcomes]).toEqual([action]);
    }),
    RUNS,
  );
});

test("an explanation ends at the rule that decides", () => {
  fc.assert(
    fc.property(anyPolicy, anyFlow, anyPins, anyHosts, (policy, flow, pins, hosts) => {
      const { steps, verdict } = explain(compilePolicy(policy), flow, fixedPins(pins), hosts);
      const [first] = steps.filter((step) => step.outcome !== "no");
      if (verdict.reason === "rule") expect(steps[verdict.rule ?? -1]?.outcome).not.toBe("no");
      if (verdict.reason === "rule" && !nameMayCome(flow)) expect(verdict.rule).toBe(first?.rule);
      if (verdict.reason === "default" || verdict.reason === "host") expect(first).toBeUndefined();
    }),
    RUNS,
  );
});

test("an explanation of a name ends at the rule that decides", () => {
  fc.assert(
    fc.property(anyPolicy, anyName, fc.constantFrom("udp", "tcp"), (policy, name, via) => {
      const walk = explainName(compilePolicy(policy), { name, transport: via, port: 53 });
      const first = walk.steps.find((step) => step.matches);
      expect(walk.verdict.rule).toBe(first?.rule);
      const action = first === undefined
        ? policy.defaults.outbound
        : policy.rules[first.rule]?.action;
      expect(walk.verdict.verdict).toBe(action === "allow" ? "resolve" : "refuse");
    }),
    RUNS,
  );
});

test("a policy that denies by default resolves only names that a rule allows", () => {
  fc.assert(fc.property(anyPolicy, anyName, (policy, name) => {
    const rules = policy.rules.filter(({ destination: { kind } }) =>
      kind === "domain" || kind === "suffix"
    );
    const strict = { ...policy, rules, defaults: { outbound: "deny", inbound: "deny" } as const };
    const verdict = evaluateName(compilePolicy(strict), { name, transport: "udp", port: 53 });
    if (verdict.verdict === "resolve") expect(rules[verdict.rule ?? -1]?.action).toBe("allow");
  }));
});

test("a rule that is said never to decide makes no difference to an ordinary address", () => {
  const hosts = new Set<string>();
  fc.assert(
    fc.property(anyPolicy, anyFlow, anyPins, (policy, flow, pins) => {
      // Wide allows leave out multicast and the IPv4 addresses inside IPv6 ones; denies don't.
      const address = parseAddress(flow.address);
      fc.pre(address !== null && embeddedIPv4(address) === null && !inGroup("multicast", address));
      const final = { ...flow, phase: "final" as const };
      const idle = new Set(
        warnings(policy)
          .filter(({ code }) => code === "shadowed" || code === "never-matches")
          .map(({ rule }) => rule),
      );
      const rules = policy.rules.filter((_, index) => !idle.has(index));
      expect(oracle({ ...policy, rules }, final, pins, hosts).action)
        .toBe(oracle(policy, final, pins, hosts).action);
    }),
    RUNS,
  );
});

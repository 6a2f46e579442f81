import { describe, expect, test } from "bun:test";
import process from "node:process";
import { SbxError } from "../../lib/base/errors.ts";
import { nameFromWire } from "../../lib/base/name.ts";
import { compilePolicy } from "../../lib/policy/decide/compile.ts";
import { evaluate } from "../../lib/policy/decide/evaluate.ts";
import { evaluateName } from "../../lib/policy/decide/evaluate_name.ts";
import { flowQuery, hostsOf, loadVectorPolicy, pinsOf, readVectorFile } from "./vector_file.ts";

const own = new URL("../vectors/policy.json", import.meta.url).pathname;
const further = process.env["SBX_VECTORS"];

for (const path of further === undefined ? [own] : [own, further]) {
  const file = readVectorFile(path);

  describe(`flows of ${path}`, () => {
    for (const vector of file.vectors) {
      test(`${vector.id} ${vector.note}`, () => {
        const verdict = evaluate(
          compilePolicy(loadVectorPolicy(vector.policy)),
          flowQuery(vector.flow),
          pinsOf(vector),
          hostsOf(vector),
        );
        const { verdict: action, rule, guard } = vector.expect;
        expect(verdict.action as string).toBe(action);
        expect([rule, ...(vector.rule_alt ?? [])]).toContain(verdict.rule ?? null);
        const isGuard = verdict.reason === "unroutable" || verdict.reason === "multicast";
        expect<string | null>(isGuard ? verdict.reason : null).toBe(guard ?? null);
      });
    }
  });

  describe(`names of ${path}`, () => {
    for (const vector of file.dns_vectors) {
      test(`${vector.id} ${vector.note}`, () => {
        const name = nameFromWire(vector.query.name);
        if (name === null) throw new TypeError(`${vector.query.name} is no name`);
        const policy = compilePolicy(loadVectorPolicy(vector.policy));
        const { verdict, rule } = evaluateName(policy, { ...vector.query, name });
        expect({ verdict: verdict === "refuse" ? "nxdomain" : verdict, rule: rule ?? null })
          .toEqual(vector.expect);
      });
    }
  });

  describe(`invalid policies of ${path}`, () => {
    for (const vector of file.invalid_policies) {
      test(`${vector.id} ${vector.why}`, () => {
        expect(() => loadVectorPolicy(vector.policy)).toThrow(SbxError);
      });
    }
  });
}

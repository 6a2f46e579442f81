/**
 * Complaints of the shape check in the words of the policy file: which place, what is wrong, and
 * the nearest thing that would be right.
 *
 * @module
 */

import type { z } from "zod";
import { nearest } from "../../base/nearest.ts";
import { PolicyFault, quote, unknownWord } from "../text/fault.ts";
import { knownKeysAt } from "./schema.ts";
import type { Path } from "./source.ts";
import { meantByKey, writtenHint } from "./written.ts";

type Issue = z.core.$ZodIssue;

/** One complaint. `atKey`: the key at the end of the path is wrong, not its value. */
export interface Complaint {
  readonly path: Path;
  readonly atKey: boolean;
  readonly fault: PolicyFault;
}

/** Turns the issues of a failed check into complaints about `value`, one for each place and `most` in all. */
export function complaintsOf(
  { issues }: { readonly issues: readonly Issue[] },
  value: unknown,
  most: number,
): readonly Complaint[] {
  const mistyped = new Set(
    issues.filter(({ code }) => code === "unrecognized_keys").map(({ path }) => path.join(".")),
  );
  // A mistyped key also makes another key missing: the first is the cause, the second its effect.
  const causes = issues.filter(({ code, path }) =>
    code !== "invalid_type" || valueAt(value, path) !== undefined ||
    !mistyped.has(path.slice(0, -1).join("."))
  );
  const each = causes.flatMap((issue): readonly Issue[] =>
    issue.code === "unrecognized_keys"
      ? issue.keys.slice(0, most).map((key) => ({ ...issue, keys: [key] }))
      : [issue]
  );
  return each.slice(0, most).map((issue) => explain(issue, [], value));
}

/** Of one alternative. */
function mostTelling(issues: readonly Issue[]): Issue | undefined {
  return issues.find((issue) => issue.code === "unrecognized_keys") ?? issues[0];
}

function explain(issue: Issue, base: Path, root: unknown): Complaint {
  const path = [...base, ...issue.path];
  if (issue.code === "invalid_union") return explainUnion(issue.errors, path, root);
  if (issue.code === "unrecognized_keys") return unknownKey(issue, path, root);
  const value = valueAt(root, path);
  const key = path.filter((step) => typeof step === "string").at(-1);
  if (value === undefined && key !== undefined && issue.code !== "custom") {
    const hint = `add ${String(key)}`;
    return complaint(path.slice(0, -1), `the key ${quote(String(key))} is missing`, hint);
  }
  return { path, atKey: false, fault: faultOf(issue, value, path) };
}

/** Of several alternatives, the one the user was trying: the one that fails deepest inside. */
function explainUnion(
  alternatives: readonly (readonly Issue[])[],
  path: Path,
  root: unknown,
): Complaint {
  let best: Issue | undefined;
  let depth = -1;
  const kinds: string[] = [];
  for (const issue of alternatives.map(mostTelling)) {
    if (issue === undefined) continue;
    if (issue.code === "invalid_type" && issue.path.length === 0) {
      kinds.push(kindName(issue.expected));
      continue;
    }
    const reach = issue.path.length + (issue.code === "unrecognized_keys" ? 1 : 0);
    if (reach > depth) {
      best = issue;
      depth = reach;
    }
  }
  if (best !== undefined) return explain(best, path, root);
  const value = valueAt(root, path);
  return complaint(
    path,
    `${describe(value, path)} stands where ${kinds.join(" or ")} is expected`,
    writtenHint(path, value),
  );
}

function unknownKey(
  issue: z.core.$ZodIssueUnrecognizedKeys,
  path: Path,
  root: unknown,
): Complaint {
  const [key = ""] = issue.keys;
  const known = knownKeysAt(path);
  const close = nearest(key, known);
  const hint = meantByKey(path, key, valueAt(root, [...path, key])) ??
    (close === null
      ? known.length === 0 ? undefined : `use one of ${known.join(", ")}`
      : `did you mean ${close}?`);
  return {
    path: [...path, key],
    atKey: true,
    fault: new PolicyFault(`unknown key ${quote(key)}`, hint),
  };
}

function faultOf(issue: Issue, value: unknown, path: Path): PolicyFault {
  const key = path.filter((step) => typeof step === "string").at(-1);
  switch (issue.code) {
    case "invalid_type":
      return new PolicyFault(
        `${describe(value, path)} stands where ${kindName(issue.expected)} is expected`,
        shapeHint(issue.expected, value, path),
      );
    case "invalid_value": {
      const known = issue.values.map(String);
      if (typeof value === "string") return unknownWord(String(key ?? "value"), value, known);
      return new PolicyFault(
        `${describe(value, path)} stands where ${known.join(" or ")} is expected`,
        writtenHint(path, value),
      );
    }
    case "too_small":
      if (issue.origin === "array") {
        return new PolicyFault("the list is empty", `leave ${String(key)} out to mean all of them`);
      }
      return outOfRange(value, key, `use at least ${issue.minimum}`);
    case "too_big":
      return outOfRange(value, key, `use at most ${issue.maximum}`);
    default:
      return new PolicyFault(issue.message);
  }
}

/** A mapping has keys, everything else an example. */
function shapeHint(expected: string, value: unknown, path: Path): string | undefined {
  const keys = expected === "object" && path.length > 0 ? knownKeysAt(path) : [];
  const isMapping = typeof value === "object" && value !== null && !Array.isArray(value);
  return keys.length > 0 && isMapping
    ? `its keys are ${keys.join(", ")}`
    : writtenHint(path, value);
}

function outOfRange(value: unknown, key: PropertyKey | undefined, hint: string): PolicyFault {
  return new PolicyFault(`${String(value)} is out of range for ${String(key)}`, hint);
}

function complaint(path: Path, state: string, hint?: string): Complaint {
  return { path, atKey: false, fault: new PolicyFault(state, hint) };
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) {
      return undefined;
    }
    value = (value as Record<PropertyKey, unknown>)[step];
  }
  return value;
}

/** What is a text as a whole is no policy, and may be a secret; so may what stands among secrets. */
function describe(value: unknown, path: Path): string {
  const mayBeSecret = path.length === 0 || path[0] === "secrets";
  if (mayBeSecret && typeof value === "string") return "a text";
  if (mayBeSecret && typeof value === "number") return "a number";
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  return typeof value === "string" ? quote(value) : String(value);
}

function kindName(expected: string): string {
  switch (expected) {
    case "object":
    case "record":
      return "a mapping";
    case "array":
    case "tuple":
      return "a list";
    case "int":
      return "a whole number";
    case "boolean":
      return "true or false";
    default:
      return `a ${expected}`;
  }
}

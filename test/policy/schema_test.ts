import { expect, test } from "bun:test";
import { policyJsonSchema } from "../../lib/policy/file/schema.ts";

test("the published schema describes every key, and only these", () => {
  const schema = policyJsonSchema();
  expect(schema["$id"]).toBe("urn:sbx:policy:1");
  expect(schema["$schema"]).toBe("https://json-schema.org/draft/2020-12/schema");
  expect(schema["additionalProperties"]).toBe(false);
  expect(Object.keys(schema["properties"] as object)).toEqual([
    "$schema",
    "version",
    "extends",
    "default",
    "rules",
    "denyWith",
    "dns",
    "tls",
    "maxConnections",
    "newFlowsPerSecond",
    "secrets",
    "onSecretViolation",
    "expect",
  ]);
});

test("the published schema asks for exactly one kind of destination", () => {
  const text = JSON.stringify(policyJsonSchema());
  expect(text).toContain('"minProperties":1');
  expect(text).toContain('"maxProperties":1');
  expect(text).not.toContain('"$ref":"#/undefined');
});

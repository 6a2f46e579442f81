/** What has some servers take a request for another. */
import { expect, test } from "bun:test";
import { overridesOf } from "../../lib/gate/overrides.ts";
import { field } from "../../lib/http/fields.ts";
import { requestOf } from "./answering.ts";

const of = (target: string, ...fields: readonly (readonly [string, string])[]) =>
  overridesOf(requestOf({ target, fields: fields.map(([name, value]) => field(name, value)) }));

test.each<[string, readonly (readonly [string, string])[], readonly string[], readonly string[]]>([
  ["/", [["Accept", "*/*"], ["X-Method", "PUT"]], [], []],
  ["/?method=PUT&x_method=PUT&_methods=PUT", [], [], []],
  ["/", [["X-HTTP-Method-Override", "delete"]], ["DELETE"], []],
  ["/", [["x_http_method_override", "PUT, PATCH"]], ["PUT", "PATCH"], []],
  ["/", [["X-HTTP-Method", "PUT"], ["X-Method-Override", "PATCH"]], ["PUT", "PATCH"], []],
  ["/", [["X-HTTP-Method", ""]], [], []],
  ["/?a=b&_method=put", [], ["PUT"], []],
  ["/?%5fmethod=d%65lete;_method=PATCH", [], ["DELETE", "PATCH"], []],
  ["/", [["X-Original-URL", "/admin?x=1"], ["X-Rewrite-Url", "/b"]], [], ["/admin", "/b"]],
  ["/", [["X-Original-URL", ""]], [], []],
])("%s with %j", (target, fields, methods, paths) => {
  expect(of(target, ...fields)).toEqual({ methods, paths });
});

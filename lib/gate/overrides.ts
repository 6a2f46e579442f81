/**
 * What a request says that has some servers take it for another: of another method, or for another path.
 * Pure. One that stands in a form's body is not seen.
 *
 * @module
 */
import type { HttpRequest } from "../http/request.ts";
import type { Overrides } from "../secret/grant.ts";

/** Of Rails, Express, Symfony, ASP.NET, Google's APIs. */
const METHOD_FIELDS: ReadonlySet<string> = new Set([
  "x-http-method-override",
  "x-http-method",
  "x-method-override",
]);

/** Of rewriting servers that hand a request on, and of frameworks that stand behind them. */
const PATH_FIELDS: ReadonlySet<string> = new Set(["x-original-url", "x-rewrite-url"]);

/** Of frameworks whose pages have forms for more than GET and POST. */
const METHOD_PARAMETER = "_method";

export function overridesOf({ target, fields }: HttpRequest): Overrides {
  const methods = parametersOf(target);
  const paths: string[] = [];
  for (const { key, value } of fields) {
    if (!key.startsWith("x")) continue;
    const name = key.replaceAll("_", "-"); // as what servers hand on in an environment
    if (METHOD_FIELDS.has(name)) methods.push(...value.split(",").map((one) => one.trim()));
    else if (PATH_FIELDS.has(name) && value !== "") paths.push(value.split("?", 1)[0] ?? "");
  }
  return { methods: methods.filter((one) => one !== "").map((one) => one.toUpperCase()), paths };
}

/** The values of a method's parameter in the query. */
function parametersOf(target: string): string[] {
  const query = target.indexOf("?");
  if (query < 0) return [];
  const pairs = target.slice(query + 1).replaceAll(";", "&");
  return new URLSearchParams(pairs).getAll(METHOD_PARAMETER);
}

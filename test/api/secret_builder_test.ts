/**
 * Secrets as a program declares them: the same declarations as elsewhere, and values that nothing shows.
 */
import { describe, expect, test } from "bun:test";
import { inspect } from "node:util";
import { NetworkBuilder } from "../../lib/api/network_builder.ts";
import { SecretBuilder } from "../../lib/api/secret_builder.ts";
import { NetworkPolicy, Sandbox, SbxError, ViolationAction } from "../../lib/mod.ts";
import { isReservedVariable } from "../../lib/policy/model/reserved_variables.ts";
import { parseSecret } from "../../lib/policy/text/secret_declaration.ts";
import { TRUST_VARIABLES } from "../../lib/guest/root/trust.ts";

const VALUE = "sk-value-of-a-program";

function errorOf(call: () => unknown): SbxError {
  try {
    call();
  } catch (error) {
    if (error instanceof SbxError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

test("a secret by calls is the secret that its line is", () => {
  const [called] = Sandbox.builder()
    .secret("API_KEY", (s) => s.env("KEY").hosts("API.example.com", "*.example.org"))
    .build().network.secrets.secrets;
  expect(called).toEqual(parseSecret("API_KEY=env:KEY@api.example.com,.example.org"));
  const [plain] = Sandbox.builder().secret("API_KEY@api.example.com").build()
    .network.secrets.secrets;
  expect(plain?.source).toEqual({ kind: "env", variable: "API_KEY" });
});

test("every call says one thing of it", () => {
  const all = new SecretBuilder().hosts("a.example.com").hosts("b.example.com")
    .places("header", "query").headers(["X-Key"]).methods("get", "POST").path("/v1")
    .exclusive(false).mask(false).format("sk-*").tokens("/token", "b.example.com").build("KEY");
  expect(all).toEqual({
    secret: {
      name: "KEY",
      source: { kind: "env", variable: "KEY" },
      hosts: ["a.example.com", "b.example.com"],
      places: new Set(["header", "query"]),
      headers: { kind: "listed", keys: new Set(["x-key"]) },
      methods: ["GET", "POST"],
      pathPrefix: "/v1",
      exclusive: false,
      mask: false,
      format: "sk-*",
      tokens: { paths: ["/token"], hosts: ["b.example.com"] },
    },
  });
  const { secret: { tokens } } = new SecretBuilder().hosts("a.example.com").tokens(["/a", "/b"])
    .build("KEY");
  expect(tokens).toEqual({ paths: ["/a", "/b"], hosts: ["a.example.com"] });
  const sources = [
    new SecretBuilder().file("run/key"),
    new SecretBuilder().command("pass show key"),
    new SecretBuilder().keychain("key"),
  ].map((each) => each.hosts("a.example.com").build("KEY").secret.source);
  expect(sources).toEqual([
    { kind: "file", path: "run/key" },
    { kind: "cmd", command: "pass show key" },
    { kind: "keychain", service: "key" },
  ]);
});

test("builders are values, and the last source counts", () => {
  const base = new SecretBuilder().hosts("a.example.com");
  const valued = base.value(VALUE);
  expect(base.build("KEY").value).toBeUndefined();
  expect(valued.build("KEY")).toMatchObject({
    value: VALUE,
    secret: { source: { kind: "program" } },
  });
  expect(valued.env("KEY").build("KEY")).not.toHaveProperty("value");
  const network = new NetworkBuilder();
  network.secret("KEY@a.example.com");
  expect(network.build().secrets.secrets).toEqual([]);
});

test("a value is kept, and shown by nothing that prints the options or the builders", () => {
  const later = () => Promise.resolve(VALUE);
  const builder = Sandbox.builder()
    .secret("KEY", (s) => s.value(VALUE).hosts("a.example.com"))
    .secret("TOKEN", (s) => s.value(later).hosts("b.example.com"));
  const options = builder.build();
  expect(options.network.secretValues?.get("KEY")).toBe(VALUE);
  expect(options.network.secretValues?.get("TOKEN")).toBe(later);
  for (const thing of [options, builder, new SecretBuilder().value(VALUE)]) {
    const shown = [
      JSON.stringify(thing),
      inspect(thing, { depth: null, showHidden: true }),
      Bun.inspect(thing, { depth: 99 }),
      String(thing),
    ].join("\n");
    expect(shown).not.toContain(VALUE);
  }
  expect(JSON.stringify(options)).toContain("[secret values]");
});

test("calls add to the secrets of a policy file, and decide about violations", async () => {
  const file = await NetworkPolicy.parse(
    "default: allow\nsecrets: [A@a.example.com]\nonSecretViolation: block-and-log",
    "lan.yaml",
  );
  const network = new NetworkBuilder().policy(file);
  expect(network.build().secrets.onViolation).toBe("block-and-log");
  const built = network.secret("B@b.example.com")
    .onSecretViolation(ViolationAction.BlockAndTerminate).build();
  expect(built.secrets.secrets.map(({ name }) => name)).toEqual(["A", "B"]);
  expect(built.secrets.onViolation).toBe("block-and-terminate");
  expect(errorOf(() => network.secret("A@b.example.com").build())).toMatchObject({
    code: "SECRET_INVALID",
    message: "Cannot use the secrets: A is declared twice",
  });
});

describe("refused is", () => {
  const secret = () => new SecretBuilder();
  test.each<[string, () => unknown, string]>([
    ["a secret for nobody", () => secret().build("KEY"), 'secret("KEY"): no host is named'],
    ["an address", () => secret().hosts("10.0.0.1"), 'hosts("10.0.0.1"): "10.0.0.1" is an address'],
    [
      "an unknown place",
      () => secret().places("cookie" as never),
      'places("cookie"): unknown place',
    ],
    ["no place", () => secret().places(), "places(): no place is named"],
    ["a field that routes", () => secret().headers(["Host"]), 'headers("Host"): Host says where'],
    [
      "no method",
      () => secret().methods("GET /"),
      'methods("GET /"): "GET /" is no request method',
    ],
    ["half a path", () => secret().path("v1"), 'path("v1"): "v1" is no path'],
    ["no format", () => secret().format("sk"), 'format("sk"): a format is'],
    [
      "no variable",
      () => secret().env("a b"),
      "env(…): what env: names is no environment variable",
    ],
    ["no file", () => secret().file(""), "file(…): file: names nothing"],
    [
      "no value",
      () => secret().value(undefined as never),
      "value(…): neither a text nor a function",
    ],
    [
      "a needed variable",
      () => secret().hosts("a.example.com").build("LD_PRELOAD"),
      'secret("LD_PRELOAD"): programs in the guest need the variable LD_PRELOAD',
    ],
    [
      "a variable of that name",
      () => Sandbox.builder().env("KEY", "1").secret("KEY@a.example.com").build(),
      "secret KEY: commands are given another KEY",
    ],
    [
      "the variable with its value",
      () => Sandbox.builder().secret("K=env:KEY@a.example.com").env("KEY", "1").build(),
      "secret K: commands are given KEY, which has its value",
    ],
    [
      "an unknown action",
      () => new NetworkBuilder().onSecretViolation("warn" as never),
      'onSecretViolation("warn"): unknown word',
    ],
  ])("%s", (_what, call, message) => {
    expect(errorOf(call).message).toStartWith(`Cannot use ${message}`);
  });

  test("an inline value, without a word of it", () => {
    const { message, hint } = errorOf(() =>
      new NetworkBuilder().secret(`KEY=${VALUE}@a.example.com`)
    );
    expect(`${message} ${hint}`).not.toContain(VALUE);
  });
});

test("what guests and sbx need for themselves is no name of a secret, what looks like it is", () => {
  const needed = [
    "PATH",
    "HOME",
    "LD_PRELOAD",
    "LC_ALL",
    "https_proxy",
    ...Object.keys(TRUST_VARIABLES),
  ];
  expect(needed.filter((name) => !isReservedVariable(name))).toEqual([]);
  expect(["PATHS", "API_HOME", "OLD_KEY", "AWS_SECRET_ACCESS_KEY"].filter(isReservedVariable))
    .toEqual([]);
});

import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { inspect } from "node:util";
import { SbxError } from "../../lib/base/errors.ts";
import { PolicyFault } from "../../lib/policy/text/fault.ts";
import { readSecretEntry, spellSecret } from "../../lib/policy/file/secret_entry.ts";
import {
  gatherSecrets,
  parseSecret,
  parseSecretFormat,
  parseSecretPlaces,
} from "../../lib/policy/text/secret_declaration.ts";
import { PLACES, type Secret, type Source } from "../../lib/policy/model/secret.ts";
import { secretEntry, type SecretShape } from "../../lib/policy/file/secret_shape.ts";
import { formatSource, readSource } from "../../lib/policy/text/secret_source.ts";
import { growth, SUBQUADRATIC } from "../support/growth.ts";
import { mutate } from "../support/mutate.ts";
import { random } from "../support/random.ts";
import { secretOf } from "../secret/held.ts";

/** Message and hint. */
function refusal(read: () => unknown): [string, string | undefined] {
  try {
    read();
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    expect(error.code).toBe("SECRET_INVALID");
    return [error.message, error.hint];
  }
  throw new Error("it was not refused");
}

describe("a line", () => {
  test("names a variable and a host, and the rest is the default", () => {
    expect(parseSecret("API_KEY@api.allowed.test")).toEqual(secretOf());
  });

  test.each<[string, string, Source, string[]]>([
    ["A@B.Example.COM.", "A", { kind: "env", variable: "A" }, ["b.example.com"]],
    ["A@*.b.com,.c.com,d.com,d.com", "A", { kind: "env", variable: "A" }, [
      ".b.com",
      ".c.com",
      "d.com",
    ]],
    ["A@ a.com, b.com", "A", { kind: "env", variable: "A" }, ["a.com", "b.com"]],
    ["A@intranet.", "A", { kind: "env", variable: "A" }, ["intranet"]],
    ["A@b\u00fccher.de", "A", { kind: "env", variable: "A" }, ["xn--bcher-kva.de"]],
    ["A=env:B@a.com", "A", { kind: "env", variable: "B" }, ["a.com"]],
    ["A=file:/a=b/c@d:e@a.com", "A", { kind: "file", path: "/a=b/c@d:e" }, ["a.com"]],
    ["A=cmd:x --as me@work, y@a.com", "A", { kind: "cmd", command: "x --as me@work, y" }, [
      "a.com",
    ]],
    ["_a1=keychain:my key@a.com", "_a1", { kind: "keychain", service: "my key" }, ["a.com"]],
  ])("%s", (text, name, source, hosts) => {
    expect(parseSecret(text)).toEqual(secretOf({ name, source, hosts }));
    expect(readSource(formatSource(source))).toEqual(source);
  });

  test.each([
    ["", "it does not begin with the name of an environment variable"],
    ["@a.com", "it does not begin with the name of an environment variable"],
    ["A B@a.com", "it does not begin with the name of an environment variable"],
    ["1A@a.com", "it does not begin with the name of an environment variable"],
    ["A", "no host is named that gets it"],
    ["A@", "no host is named that gets it"],
    ["A@a.com,", '"" is no domain name'],
    ["A@https://a.com", '"https://a.com" is a URL'],
    ["A@a.com:443", '"a.com:443" is no domain name'],
    ["A@*.com", 'the suffix "*.com" takes in a whole top-level domain'],
    ["A@*", '"*" is no domain name'],
    ["A@a.*.com", '"a.*.com" is no domain name'],
    [
      "A@10.0.0.1",
      '"10.0.0.1" is an address, and a value goes only to a server that has proved its name',
    ],
    [
      "A@::1",
      '"::1" is an address, and a value goes only to a server that has proved its name',
    ],
    ["A@github", '"github" is no host with a dot'],
    ["A=env:@a.com", "env: names nothing"],
    ["A=env:1@a.com", "what env: names is no environment variable"],
    ["A=file:@a.com", "file: names nothing"],
    ["A=cmd:a\0b@a.com", "what cmd: names has a NUL in it"],
  ])("%p is refused", (text, state) => {
    const [message, hint] = refusal(() => parseSecret(text));
    expect(message).toBe(`Cannot read --secret: ${state}`);
    if (!state.includes("NUL")) expect(hint).toBeDefined();
  });

  test.each([
    "hunter2@x@a.com",
    "A=hunter2@a.com",
    "A=hunter2:x@a.com",
    "A=en:hunter2@a.com",
    "A=hunter2@x:y,z@a.com",
    "A=:hunter2@a.com",
    "A=hunter2",
    "hunter2!@a.com",
    "sk-hunter2",
    "hunter2",
    "=hunter2@a.com",
    "A=env:sk-hunter2@a.com",
    "A=env:B@hunter2@a.com",
    "A=value:hunter2@a.com",
    "A=file=hunter2@a.com",
  ])("what may be a value is not repeated: %s", (text) => {
    try {
      parseSecret(text);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(SbxError);
      expect(inspect(error, { depth: 9 })).not.toContain("hunter2");
    }
  });

  test("a mistyped source is put right", () => {
    expect(refusal(() => parseSecret("A=evn:B@a.com"))[1]).toBe("did you mean env:?");
    expect(refusal(() => parseSecret("A=abc@a.com"))[1]).toBe(
      "export the value and name only the variable, or use env:, file:, cmd: or keychain:",
    );
  });
});

describe("a spelled-out entry", () => {
  test("of a name and hosts is the line", () => {
    expect(readSecretEntry({ name: "API_KEY", hosts: ["api.allowed.test"] })).toEqual(secretOf());
    expect(readSecretEntry("API_KEY@api.allowed.test")).toEqual(secretOf());
  });

  test("has all that a secret has", () => {
    expect(readSecretEntry({
      name: "A",
      hosts: ["*.Allowed.test"],
      source: "cmd:x",
      places: ["body", "query"],
      headers: ["X-Mine", "x-mine", "X-Yours"],
      methods: ["get", "POST"],
      path: "/v1/",
      exclusive: false,
      mask: false,
      format: "sk-*",
      tokens: { path: ["/token", "/device/code"], hosts: ["Login.allowed.test"] },
    })).toEqual({
      name: "A",
      source: { kind: "cmd", command: "x" },
      hosts: [".allowed.test"],
      places: new Set(["body", "query"] as const),
      headers: { kind: "listed", keys: new Set(["x-mine", "x-yours"]) },
      methods: ["GET", "POST"],
      pathPrefix: "/v1/",
      exclusive: false,
      mask: false,
      format: "sk-*",
      tokens: { paths: ["/token", "/device/code"], hosts: ["login.allowed.test"] },
    });
    const { tokens } = readSecretEntry({ name: "A", hosts: ["a.com"], tokens: { path: "/t" } });
    expect(tokens).toEqual({ paths: ["/t"], hosts: ["a.com"] });
  });

  test.each<[Partial<SecretShape>, PropertyKey[], string]>([
    [{ name: "A B" }, ["name"], "it does not begin with the name of an environment variable"],
    [
      { hosts: ["a.com", "*.com"] },
      ["hosts", 1],
      'the suffix "*.com" takes in a whole top-level domain',
    ],
    [{ source: "env:" }, ["source"], "env: names nothing"],
    [{ headers: ["A", "b c"] }, ["headers", 1], '"b c" is no name of a header field'],
    [
      { headers: ["Host"] },
      ["headers", 0],
      "Host says where a request goes or ends, and holds no value",
    ],
    [{ methods: ["G T"] }, ["methods", 0], '"G T" is no request method'],
    [{ path: "v1" }, ["path"], '"v1" is no path that requests could begin with'],
    [{ path: "/a/../b" }, ["path"], '"/a/../b" is no path that requests could begin with'],
    [{ path: "/a?b" }, ["path"], '"/a?b" is no path that requests could begin with'],
    [{ path: "/%2f" }, ["path"], '"/%2f" is no path that requests could begin with'],
    [{ path: "/a%" }, ["path"], '"/a%" is no path that requests could begin with'],
    [
      { format: "sk-" },
      ["format"],
      "a format is the fixed part of a key with one star for the rest",
    ],
    [
      { tokens: { path: "t" } },
      ["tokens", "path", 0],
      '"t" is no path that requests could begin with',
    ],
    [
      { tokens: { path: "/t", hosts: ["a.com", "b.a.com"] } },
      ["tokens", "hosts", 1],
      '"b.a.com" is none of the secret\'s hosts',
    ],
    [
      { hosts: ["*.b.com"], tokens: { path: "/t", hosts: ["c.b.com", "*.d.b.com", "*.a.com"] } },
      ["tokens", "hosts", 2],
      '"*.a.com" is none of the secret\'s hosts',
    ],
  ])("%j is refused at its place", (changes, path, state) => {
    try {
      readSecretEntry({ name: "A", hosts: ["a.com"], ...changes });
      expect.unreachable();
    } catch (fault) {
      if (!(fault instanceof PolicyFault)) throw fault;
      expect([fault.message, fault.path]).toEqual([state, path]);
    }
  });

  test("takes no other keys, and no value", () => {
    const good = { name: "A", hosts: ["a.com"] };
    expect(secretEntry.safeParse(good).success).toBe(true);
    for (
      const bad of [
        { ...good, value: "hunter2" },
        { ...good, hosts: [] },
        { ...good, places: ["cookie"] },
        { ...good, headers: "all" },
        { ...good, tokens: {} },
        { ...good, tokens: { path: [] } },
        { hosts: ["a.com"] },
        { name: "A" },
        5,
        null,
      ]
    ) expect(secretEntry.safeParse(bad).success).toBe(false);
  });

  test("is spelt as it reads back", () => {
    const { below, pick } = random(23);
    for (let round = 0; round < 500; round++) {
      const secret: Secret = {
        name: pick(["A", "_b1", "GITHUB_TOKEN"]),
        source: pick<Source>([{ kind: "env", variable: "X" }, { kind: "cmd", command: "a:b@c" }]),
        hosts: [pick(["a.com", ".a.com"]), pick([".d.e", ".c.d.e"])],
        places: new Set(PLACES.slice(below(4), 5)),
        headers: pick<Secret["headers"]>([
          { kind: "any" },
          { kind: "credentials" },
          { kind: "listed", keys: new Set(["x-a", "b"]) },
        ]),
        methods: pick([[], ["GET"], ["GET", "PUT"]]),
        pathPrefix: pick([null, "/", "/v1/a"]),
        exclusive: pick([true, false]),
        mask: pick([true, false]),
        format: pick([null, "*", "sk-*"]),
        ...pick<Pick<Secret, "tokens">>([
          {},
          { tokens: { paths: ["/a"], hosts: ["a.com"] } },
          { tokens: { paths: ["/a", "/b"], hosts: [".c.d.e"] } },
        ]),
      };
      const spelt = spellSecret(secret);
      expect(readSecretEntry(spelt)).toEqual(secret);
      expect(secretEntry.parse(JSON.parse(JSON.stringify(spelt)))).toEqual(spelt);
    }
  }, 60_000);

  test("a host of one label reads back as well", () => {
    const spelt = spellSecret(secretOf({ hosts: ["intranet"] }));
    expect(readSecretEntry(spelt).hosts).toEqual(["intranet"]);
  });
});

describe("all secrets of a sandbox", () => {
  const a = secretOf({ name: "A" });
  const b = secretOf({ name: "B" });

  test("have names of their own", () => {
    expect(gatherSecrets([a, b])).toEqual([a, b]);
    expect(refusal(() => gatherSecrets([a, b, a]))).toEqual([
      "Cannot use the secrets: A is declared twice",
      "list all its hosts in one",
    ]);
  });

  test("have the formats that were given to them", () => {
    const format = parseSecretFormat("B=sk-ant-*");
    expect(gatherSecrets([a, b], [format])).toEqual([a, { ...b, format: "sk-ant-*" }]);
    expect(refusal(() => gatherSecrets([a], [format]))).toEqual([
      "Cannot use the secrets: B has a format and is not declared",
      "add --secret B@HOST",
    ]);
    for (const text of ["B", "B=", "B=sk", "=sk-*", "B=*-*", "B=s k*"]) {
      expect(refusal(() => parseSecretFormat(text))[0]).toStartWith(
        "Cannot read --secret-format: ",
      );
    }
  });
});

test("a secret has the places that were given to it, instead of the usual ones", () => {
  const b = secretOf({ name: "B" });
  const places = parseSecretPlaces("B=query, body");
  expect(gatherSecrets([b], [places])).toEqual([{ ...b, places: new Set(["query", "body"]) }]);
  const both = [places, parseSecretFormat("B=sk-*")];
  expect(gatherSecrets([b], both)).toEqual([{ ...b, ...places, format: "sk-*" }]);
  expect(refusal(() => gatherSecrets([], [places]))).toEqual([
    "Cannot use the secrets: B has places and is not declared",
    "add --secret B@HOST",
  ]);
  for (const text of ["B", "B=", "B=query,", "B=Query", "=query", "PATH=query"]) {
    expect(refusal(() => parseSecretPlaces(text))[0]).toStartWith("Cannot read --secret-place: ");
  }
});

test("of 20,000 damaged lines each is a secret or a declared error", () => {
  const corpus = ["API_KEY@api.allowed.test,*.b.com", "A=file:/a@b@a.com", "A=cmd:x y@a.com"];
  let read = 0;
  mutate(corpus.map((one) => Buffer.from(one)), 20_000, (sample) => {
    const text = Buffer.from(sample).toString("latin1");
    try {
      const secret = parseSecret(text);
      read++;
      expect(secret.hosts.length).toBeGreaterThan(0);
      expect(readSecretEntry(spellSecret(secret))).toEqual(secret);
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
    }
  });
  expect(read).toBeGreaterThan(1_000);
}, 60_000);

test.each(["a", "@", "=", ",", ".", "a.", ":", "*", "A=", "a.com,", "/", "%41", " "])(
  "its work is linear in a run of %p",
  (run) => {
    for (
      const read of [
        (text: string) => parseSecret(text),
        (text: string) => parseSecret("A@" + text),
        (text: string) => parseSecret("A@a.com" + text),
        (text: string) => parseSecret("A=file:" + text + "@a.com"),
        (text: string) => parseSecretFormat("A=" + text),
        (text: string) => parseSecretPlaces("A=" + text),
        (text: string) => readSecretEntry({ name: "A", hosts: ["a.com"], path: "/" + text }),
        (text: string) => readSecretEntry({ name: "A", hosts: ["a.com"], path: `/${text}?` }),
      ]
    ) {
      const { ratio } = growth((size) => read(run.repeat(Math.ceil(size / run.length))), {
        most: 1 << 16,
      });
      expect(ratio).toBeLessThan(SUBQUADRATIC);
    }
  },
  60_000,
);

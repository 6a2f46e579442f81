/**
 * Secrets on the real network: a guest that holds placeholders, sbx between, and servers that keep every
 * request as it arrived. What arrived is the judge.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { PUBLIC, PUBLIC_2 } from "../support/places.ts";
import { until } from "../support/process.ts";
import type { Letter } from "../support/recorder.ts";
import { openWorld, type World } from "../support/world.ts";

const value = () => `r&=%+ ${randomBytes(16).toString("hex")}`;
const VALUES = {
  ALL: value(),
  USUAL: value(),
  BOUND: value(),
  LOOSE: value(),
  SHARED: value(),
};
const ROTATING = [randomBytes(16).toString("hex"), randomBytes(16).toString("hex")] as const;
const everyValue = [...Object.values(VALUES), ...ROTATING];

const host = (name: string) => `${name}.members.test`;
const ALL = host("all");
const USUAL = host("usual");
const BOUND = host("bound");
const LOOSE = host("loose");
const SHARED = host("shared");
const LIVE = host("live");
/** Of nobody's. */
const NONE = host("none");

let world: World;
let guest: NamespaceGuest;
let file: string;
beforeAll(async () => {
  const names = [ALL, USUAL, BOUND, LOOSE, SHARED, LIVE, NONE];
  const nobody = { field: "authorization", value: "nobody's" };
  world = await openWorld({ members: Object.fromEntries(names.map((name) => [name, nobody])) });
  file = join(world.scratch, "token");
  writeFileSync(file, ROTATING[0], { mode: 0o600 });
  Object.assign(process.env, VALUES);
  guest = await openNamespaceGuest(world, {
    policy: "public-only",
    // Under a rule about a name, plain HTTP is read.
    rules: ["deny@bad.cdn.test"],
    tls: { upstreamCa: [world.ca], noVerify: [LOOSE] },
    secrets: [
      {
        name: "ALL",
        hosts: [ALL],
        places: ["header", "basic", "query", "path", "body"],
        headers: "any",
      },
      { name: "USUAL", hosts: [USUAL] },
      { name: "BOUND", hosts: [BOUND], methods: ["GET"], path: "/v1" },
      { name: "LOOSE", hosts: [LOOSE] },
      { name: "SHARED", hosts: [SHARED], exclusive: false },
      { name: "LIVE", hosts: [LIVE], source: `file:${file}` },
    ],
  });
});
afterAll(async () => {
  for (const name of Object.keys(VALUES)) delete process.env[name];
  await guest?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});
beforeEach(() => world.internet.reset());

const placeholder = (name: string) => guest.placeholders[name] ?? "none";
const bearer = (text: string) => ["-H", `Authorization: Bearer ${text}`];

async function curl(...args: readonly string[]) {
  const told = ["-w", "%{http_code}", "-o", "/dev/null"];
  const { stdout, status } = await guest.run(
    ["curl", "-sS", "-m", "20", "--cacert", guest.authority, ...told, ...args],
  );
  return status === 0 ? stdout : `no answer: ${status}`;
}

/** 52 and 56: the connection was reset; 92: the stream. */
const RESET = /^no answer: (?:52|56|92)$/;

async function letters(): Promise<readonly Letter[]> {
  return (await world.internet.report()).letters;
}

/** Of the journal since a moment. */
function since(at: number, event: string) {
  return guest.journal.slice(at).filter((line) => line.event === event);
}

describe.each(["--http1.1", "--http2"])("with curl %s", (http) => {
  test("values are where their placeholders were, and nothing else has changed", async () => {
    const ph = placeholder("ALL");
    const [real, written] = [VALUES.ALL, encodeURIComponent(VALUES.ALL)];
    const at = guest.journal.length;
    const url = `https://${ALL}`;
    await curl(http, ...bearer(ph), "-H", `X-Any: ${ph}`, `${url}/${ph}/a?k=${ph}&b=%20`);
    await curl(http, "-u", `me:${ph}`, url);
    await curl(http, "--json", JSON.stringify({ a: [ph], b: "\u00e4" }), url);
    await curl(http, "-d", `a=${ph}&b=${ph}`, url);
    await curl(http, "-F", `k=${ph}`, "-F", "k=<-;type=application/json", url);
    const [head, basic, json, form, parts] = await letters();
    expect(head?.target).toBe(`/${written}/a?k=${written}&b=%20`);
    expect(head?.fields).toMatchObject({ authorization: [`Bearer ${real}`], "x-any": [real] });
    expect(basic?.fields.authorization).toEqual([`Basic ${btoa(`me:${real}`)}`]);
    expect(json?.body).toBe(JSON.stringify({ a: [real], b: "\u00e4" }));
    expect(form?.body).toBe(`a=${written}&b=${written}`);
    expect(parts?.body).toContain(`name="k"\r\n\r\n${real}\r\n`);
    if (http === "--http1.1") {
      for (const { body, fields } of [json, form, parts].flatMap((one) => one ?? [])) {
        expect(fields["content-length"] ?? [String(new TextEncoder().encode(body).length)])
          .toEqual([String(new TextEncoder().encode(body).length)]);
      }
    }
    await until("the uses", () => since(at, "secret").length >= 7);
    expect(
      since(at, "secret").map(({ name, host, what, place, count }) =>
        [name, host, what, place, count].join(" ")
      ).sort(),
    ).toEqual([
      `ALL ${ALL} sent basic 1`,
      `ALL ${ALL} sent body 1`,
      `ALL ${ALL} sent body 1`,
      `ALL ${ALL} sent body 2`,
      `ALL ${ALL} sent header 2`,
      `ALL ${ALL} sent path 1`,
      `ALL ${ALL} sent query 1`,
    ].sort());
  });

  test("a placeholder goes to no other host, and what comes beside it does", async () => {
    const at = guest.journal.length;
    const ph = placeholder("USUAL");
    for (const to of [NONE, ALL, "evil.test"]) {
      expect(await curl(http, ...bearer(ph), `https://${to}/`)).toMatch(RESET);
      expect(await curl(http, `https://${to}/?k=${ph.toUpperCase()}`)).toMatch(RESET);
      // Where the body is read before there is an answer: none comes too early to see it.
      await curl(http, "-d", `a=${btoa(ph)}`, `https://${to}/sink`);
    }
    const arrived = await world.internet.report();
    expect(
      arrived.letters.filter(({ fields, target, body }) =>
        JSON.stringify([fields, target, body]).includes(ph.slice(-20))
      ),
    ).toEqual([]);
    expect(since(at, "secret-violation")).toHaveLength(9);
    expect(since(at, "secret-violation")[0])
      .toMatchObject({ names: ["USUAL"], route: "request", to: NONE, action: "block" });
    expect(since(at, "request").map(({ reason }) => reason))
      .toEqual(Array<string>(9).fill("secret-violation"));
    expect(await curl(http, ...bearer("none"), `https://${NONE}/`)).toBe("401");
    expect(since(at, "secret")).toEqual([]);
  });

  test("a value goes to no address that the guest chose", async () => {
    const ph = placeholder("USUAL");
    const to = ["--resolve", `${USUAL}:443:${PUBLIC_2}`];
    expect(await curl(http, ...bearer(ph), ...to, `https://${USUAL}/`)).toMatch(RESET);
    expect(await letters()).toEqual([]);
    expect(await curl(http, ...to, `https://${USUAL}/`)).toBe("401");
    const there = ["--resolve", `${USUAL}:443:${PUBLIC}`];
    await guest.run(["getent", "hosts", USUAL]);
    await curl(http, ...bearer(ph), `https://${USUAL}/`);
    expect(await curl(http, ...bearer(ph), ...there, `https://${USUAL}/`)).toBe("401");
    expect((await letters()).map(({ fields }) => fields.authorization)).toEqual([
      undefined,
      [`Bearer ${VALUES.USUAL}`],
      [`Bearer ${VALUES.USUAL}`],
    ] as never);
  });

  test("a value goes to no server that need not prove itself", async () => {
    const ph = placeholder("LOOSE");
    expect(await curl(http, ...bearer(ph), `https://${LOOSE}/`)).toBe("401");
    expect((await letters()).map(({ fields }) => fields.authorization)).toEqual([[`Bearer ${ph}`]]);
    expect(guest.notices.filter((line) => line.includes("LOOSE"))).toHaveLength(1);
  });

  test("a request for another host than its session goes nowhere", async () => {
    const ph = placeholder("USUAL");
    const asked = [...bearer(ph), "-H", `Host: ${NONE}`];
    expect(await curl(http, ...asked, `https://${USUAL}/`)).toBe("421");
    expect(await curl(http, ...bearer(ph), "-H", `Host: ${USUAL}`, `https://${NONE}/`)).toBe("421");
    expect(await letters()).toEqual([]);
  });

  test("a value is for its methods and paths only", async () => {
    const ph = placeholder("BOUND");
    for (const [method, path] of [["GET", "/v1/a"], ["PUT", "/v1/a"], ["GET", "/v10"]]) {
      const to = ["-X", method ?? "", "--path-as-is", `https://${BOUND}${path}`];
      expect(await curl(http, ...bearer(ph), ...to)).toBe("401");
    }
    expect((await letters()).map(({ fields }) => fields.authorization)).toEqual([
      [`Bearer ${VALUES.BOUND}`],
      [`Bearer ${ph}`],
      [`Bearer ${ph}`],
    ]);
  });

  test("a credential of the guest's own goes to no host with an exclusive secret", async () => {
    const own = bearer("gho_0123456789abcdef0123456789abcdef0123");
    expect(await curl(http, ...own, `https://${USUAL}/`)).toBe("403");
    expect(await curl(http, "-b", "session=0123", `https://${USUAL}/`)).toBe("403");
    expect(await letters()).toEqual([]);
    expect(await curl(http, ...own, `https://${SHARED}/`)).toBe("401");
    expect(await curl(http, ...own, `https://${NONE}/`)).toBe("401");
    expect((await letters()).map((one) => one.host)).toEqual([SHARED, NONE]);
  });

  test("64 values are enough", async () => {
    const fields = (count: number) => ["-H", `X-Any: ${placeholder("ALL").repeat(count)}`];
    expect(await curl(http, ...fields(64), `https://${ALL}/`)).toBe("401");
    expect(await curl(http, ...fields(65), `https://${ALL}/`)).toBe("502");
    expect((await letters()).map(({ fields }) => fields["x-any"])).toEqual([[
      VALUES.ALL.repeat(64),
    ]]);
  });

  test("a body of unknown length gets values wherever it is cut", async () => {
    const line = `${"x".repeat(37)} ${placeholder("ALL")}\n`;
    const args = ["-T", "-", "-H", "Content-Type: text/plain", "-H", "Transfer-Encoding: chunked"];
    const sent = `curl -sS -m 20 --cacert "$1" ${http} ${args.map((arg) => `'${arg}'`).join(" ")}`;
    const script = `${sent} "https://${ALL}/" -o /dev/null`;
    await guest.run(["sh", "-c", script, "sh", guest.authority], { stdin: line.repeat(500) });
    const [one] = await letters();
    expect(one?.body).toBe(line.repeat(500).replaceAll(placeholder("ALL"), VALUES.ALL));
  });
});

describe("plain HTTP", () => {
  test("takes the placeholder to its own host, as it is, and says so once", async () => {
    const at = guest.journal.length;
    const ph = placeholder("SHARED");
    for (const _ of [1, 2]) expect(await curl(...bearer(ph), `http://${SHARED}/`)).toBe("401");
    expect((await letters()).map(({ fields }) => fields.authorization))
      .toEqual([[`Bearer ${ph}`], [`Bearer ${ph}`]]);
    await until("the events", () => since(at, "secret").length === 2);
    expect(since(at, "secret")[0]).toMatchObject({ name: "SHARED", what: "inert", count: 1 });
    expect(guest.notices.filter((line) => line.includes("SHARED"))).toHaveLength(1);
  });

  test("takes it nowhere else, and no other request on the connection either", async () => {
    const ph = placeholder("SHARED");
    expect(await curl(...bearer(ph), `http://${NONE}/`)).toMatch(RESET);
    const both = ["--connect-to", `${NONE}:80:${SHARED}:80`, `http://${SHARED}/`];
    const { stdout } = await guest.run([
      ...["curl", "-sS", "-m", "20", "-w", "%{http_code} ", "-o", "/dev/null", ...bearer(ph)],
      ...[...both, "-o", "/dev/null", `http://${NONE}/`],
    ]);
    expect(stdout).toStartWith("401 000");
    expect((await letters()).map((one) => one.host)).toEqual([SHARED]);
  });
});

test("a kept connection has the value of now at each request, and none when there is none", async () => {
  const client = guest.start([
    "python3",
    "-c",
    `import http.client, ssl, sys
c = http.client.HTTPSConnection("${LIVE}", context=ssl.create_default_context(cafile="${guest.authority}"))
c.connect(); s = c.sock
for line in sys.stdin:
    c.request("GET", "/", headers={"Authorization": "Bearer ${placeholder("LIVE")}"})
    r = c.getresponse(); r.read()
    print(r.status, "kept" if c.sock is s else "closed", flush=True)`,
  ]);
  const ask = async (answers: number) => {
    client.child.stdin?.write("\n");
    await until("an answer", () => client.stdout().split("\n").length > answers);
  };
  await ask(1);
  writeFileSync(file, ROTATING[1]);
  await ask(2);
  rmSync(file);
  await ask(3);
  client.child.stdin?.end();
  await client.ended;
  expect(client.stdout()).toBe("401 kept\n401 kept\n502 closed\n");
  expect((await letters()).map(({ fields }) => fields.authorization))
    .toEqual(ROTATING.map((one) => [`Bearer ${one}`]));
  expect(guest.notices.filter((line) => line.includes("LIVE"))).toHaveLength(1);
});

test("nothing that was written down or told has a value in it", () => {
  const told = JSON.stringify([guest.journal, guest.notices, guest.denials]);
  for (const one of everyValue) {
    for (const form of [one, encodeURIComponent(one), btoa(`me:${one}`)]) {
      expect(told).not.toContain(form);
    }
  }
  expect(told).toContain("secret-violation");
});

test("a secret that is taken back goes nowhere from the next request on, and may come back", async () => {
  const policy = { policy: "public-only", rules: ["deny@bad.cdn.test"] } as const;
  const ask = () => curl(...bearer(placeholder("USUAL")), `https://${USUAL}`);
  await ask();
  const dry = await guest.apply({ ...policy, takenBack: ["USUAL"] }, { dryRun: true });
  expect(dry.settings).toEqual(["secrets.USUAL"]);
  await ask();
  const { settings, warnings } = await guest.apply({ ...policy, takenBack: ["USUAL"] });
  expect(settings).toEqual(["secrets.USUAL"]);
  expect(warnings[0]).toBe("secret USUAL is taken back: the policy does not name it");
  await ask();
  // Its placeholder is still known for what it is elsewhere.
  const at = guest.journal.length;
  expect(await curl(...bearer(placeholder("USUAL")), `https://${NONE}`)).toMatch(RESET);
  await until("a violation", () => since(at, "secret-violation").length > 0);
  await guest.apply(policy);
  await ask();
  const sent = (await letters()).map(({ host, fields }) => [host, fields.authorization?.[0]]);
  expect(sent).toEqual([
    [USUAL, `Bearer ${VALUES.USUAL}`],
    [USUAL, `Bearer ${VALUES.USUAL}`],
    [USUAL, `Bearer ${placeholder("USUAL")}`],
    [USUAL, `Bearer ${VALUES.USUAL}`],
  ]);
});

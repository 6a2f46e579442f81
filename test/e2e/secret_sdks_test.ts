/**
 * Clients that docs/secrets.md has no recipe for, in a real guest with placeholders: WebSockets of Node and of
 * Python, whose messages carry a token; skopeo, which asks a container registry's token service by itself; and
 * Amazon's clients of S3 in both languages, against a bucket whose requests are checked by Amazon's own
 * implementation.
 *
 * Those of Amazon's take minutes to load under emulation, and run where SBX_ALL_CLIENTS is set
 * (scripts/test-secret-clients).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { askAws } from "../support/aws/aws.ts";
import { type Batch, inGuest } from "../support/batch.ts";
import { DAY_TOKEN } from "../support/members.ts";
import type { Letter } from "../support/recorder.ts";
import { openWorld, ROOT, type World } from "../support/world.ts";

const TOKEN = `live-${randomBytes(20).toString("hex")}`;
const PAT = `dckr_pat_${randomBytes(20).toString("hex")}`;
const KEYS = {
  id: "ASIAIOSFODNN7EXAMPLE",
  key: `${randomBytes(29).toString("base64").slice(0, 39)}/`,
  token: randomBytes(300).toString("base64"),
};

const TALKS = { node: "node talk.mjs", python: "/usr/bin/python3 talk.py" };
const SKOPEO = 'skopeo --insecure-policy inspect --raw --creds "you:$DOCKER_PAT" ' +
  "docker://docker.io/you/greet:latest";
const STORES = { stored: "node store.mjs", shelved: "/usr/bin/python3 store.py" };
const isWhole = process.env.SBX_ALL_CLIENTS !== undefined;
const WRITTEN = ["talk.mjs", "talk.py", "store.mjs", "store.py"];

let world: World;
let batch: Batch<string>;
let letters: readonly Letter[];
let journal: string;

beforeAll(async () => {
  world = await openWorld({
    members: {
      "live.example.com": { field: "authorization", value: `Bearer ${TOKEN}` },
      "auth.docker.io": {
        field: "authorization",
        value: `Basic ${Buffer.from(`you:${PAT}`).toString("base64")}`,
      },
      "registry-1.docker.io": {
        field: "authorization",
        value: `Bearer ${DAY_TOKEN}`,
        challenge: 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"',
      },
      "s3.example.com": { field: "none", value: "none", bucket: true },
    },
  });
  const app = join(world.scratch, "app");
  mkdirSync(app);
  for (const name of WRITTEN) {
    copyFileSync(join(ROOT, "test/support/sdk", name), join(app, name));
  }
  symlinkSync("/sdk/node_modules", join(app, "node_modules")); // where it is in the guest
  const sdk = join(ROOT, ".cache/test/sdk");
  const log = join(world.scratch, "journal");
  batch = await inGuest<string>(
    world,
    [
      ...["--upstream-ca", world.ca, ...world.withCa, "--log", log, "-m", "1024"],
      ...["-v", `${app}:/app:ro`, "-v", `${sdk}:/sdk:ro`, "-w", "/app"],
      ...["-e", "PYTHONPATH=/sdk/python", "-e", "PYTHONDONTWRITEBYTECODE=1"],
      ...["--secret", "LIVE_TOKEN@live.example.com"],
      ...["--secret-place", "LIVE_TOKEN=header,websocket"],
      ...["--secret", "DOCKER_PAT@auth.docker.io"],
      ...["--secret-aws", "AWS=env:SHELF@s3.example.com"],
    ],
    {
      // What is not opened shows the guest the certificates of the fake internet.
      trust: 'cat /trust/ca.pem >>"$CURL_CA_BUNDLE"',
      ...TALKS,
      skopeo: SKOPEO,
      ...(isWhole ? STORES : {}),
      environment: "env",
    },
    {
      limit: 850,
      env: {
        LIVE_TOKEN: TOKEN,
        DOCKER_PAT: PAT,
        SHELF_ACCESS_KEY_ID: KEYS.id,
        SHELF_SECRET_ACCESS_KEY: KEYS.key,
        SHELF_SESSION_TOKEN: KEYS.token,
      },
    },
  );
  ({ letters } = await world.internet.report());
  journal = readFileSync(log, "utf8");
}, 900_000);
afterAll(() => world?.[Symbol.asyncDispose]());

/** What a probe said, on both streams. */
const said = (name: string) => `${batch.probes[name]?.stdout}${batch.probes[name]?.stderr}`;

describe("a WebSocket with a token in its messages", () => {
  test.each(Object.keys(TALKS))("by the client of %s is let in, and sees no value", (name) => {
    // Frames keep their length, and so what stands for the value in them.
    expect(said(name)).toMatch(/^welcome\necho PLACEHOLDER~* and more\n1000\n$/);
  });

  test("and its server had the token in the request, too", () => {
    const asked = letters.filter(({ host }) => host === "live.example.com");
    expect(asked.map(({ fields, status }) => [fields.authorization, status])).toEqual(
      Object.keys(TALKS).map(() => [[`Bearer ${TOKEN}`], 101]),
    );
  });
});

test("skopeo gets a token of the day for the account's, and has a manifest with that", () => {
  expect(said("skopeo")).toBe('{"schemaVersion":2,"layers":[]}\n');
  const served = letters.filter(({ host, status }) =>
    host.endsWith(".docker.io") && status === 200
  );
  expect(new Set(served.map(({ host }) => host)).size).toBe(2);
  for (const { host, fields } of letters.filter(({ host }) => host === "registry-1.docker.io")) {
    expect([host, JSON.stringify(fields).includes(PAT)]).toEqual([host, false]);
  }
});

describe.if(isWhole)("Amazon's own client", () => {
  test("of Node keeps an object and reads it", () => {
    expect(said("stored")).toBe("kept by node\n");
  });

  test("of Python does, and an address that it signed is good inside", () => {
    expect(said("shelved")).toBe("kept by python\nkept by python\n");
  });

  test("has every request signed with the keys, and none of them goes out", () => {
    const asked = letters.filter(({ host }) => host === "s3.example.com");
    expect(asked.length).toBeGreaterThanOrEqual(5);
    const checked = askAws(asked.map(({ host, method, target, fields, body }) => ({
      ask: "check",
      keys: KEYS,
      method,
      host,
      target,
      fields: Object.entries(fields).flatMap(([name, values]) =>
        values.map((value) => ({ name, value }))
      ),
      body: Buffer.from(body),
    })));
    expect(checked.map(({ error }) => error)).toEqual(asked.map(() => ""));
    expect(JSON.stringify(asked)).not.toContain(KEYS.key);
  });
});

test("no value is in the guest, in what it saw or in the journal", () => {
  const everything = JSON.stringify([batch.probes, journal]) + batch.run.stderr;
  for (const value of [TOKEN, PAT, KEYS.key, KEYS.token]) expect(everything).not.toContain(value);
  for (const name of ["LIVE_TOKEN", "DOCKER_PAT", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]) {
    expect(said("environment")).toMatch(new RegExp(`^${name}=.{16}`, "m"));
  }
});

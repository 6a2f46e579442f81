/**
 * What a guest hears of servers that send back what they were sent, and of one that hands out tokens, on the
 * real network. The servers show what they got; the guest's output and the journal are the judge.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import process from "node:process";
import { buildGo } from "../support/build.ts";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

const VALUES = {
  MIRRORED: `key-${randomBytes(24).toString("hex")}`,
  OPEN: `key-${randomBytes(24).toString("hex")}`,
  CLIENT: "client-secret-of-the-mirror",
};
const MIRROR = "https://good.cdn.test";
const LOGIN = "https://api.allowed.test";

let world: World;
let guest: NamespaceGuest;
beforeAll(async () => {
  world = await openWorld();
  Object.assign(process.env, VALUES);
  guest = await openNamespaceGuest(world, {
    policy: "public-only",
    tls: { upstreamCa: [world.ca] },
    secrets: [
      { name: "MIRRORED", hosts: ["good.cdn.test"] },
      { name: "OPEN", hosts: ["h1.tls.test"], mask: false },
      {
        name: "CLIENT",
        hosts: ["api.allowed.test"],
        places: ["body"],
        tokens: { path: "/oauth/token" },
      },
    ],
  });
});
afterAll(async () => {
  for (const name of Object.keys(VALUES)) delete process.env[name];
  await guest?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

const placeholder = (name: string) => guest.placeholders[name] ?? "none";

/** Everything that curl says, heads and trailers with it; no value is in any of it. */
async function curl(...args: readonly string[]) {
  const { stdout, status } = await guest.run(
    ["curl", "-sS", "-i", "-m", "20", "--cacert", guest.authority, ...args],
  );
  return { text: stdout, status };
}

const mirror = (query: string, ...args: readonly string[]) =>
  curl(
    ...args,
    "-H",
    `Authorization: Bearer ${placeholder("MIRRORED")}`,
    `${MIRROR}/mirror?${query}`,
  );

function hasNoValue(text: string): void {
  for (const value of [VALUES.MIRRORED, VALUES.CLIENT]) {
    const bytes = Buffer.from(value);
    for (const form of [value, bytes.toString("hex"), bytes.toString("base64").slice(4, -4)]) {
      expect(text).not.toContain(form);
    }
  }
}

describe.each(["--http1.1", "--http2"])("with curl %s", (http) => {
  test.each(["plain", "json", "percent", "base64", "hex"])(
    "a value comes back as the placeholder: %s",
    async (form) => {
      const ph = placeholder("MIRRORED");
      for (
        const how of ["piece=1", "length", "piece=7&coding=gzip", "length&coding=deflate"]
      ) {
        const { text, status } = await mirror(`form=${form}&${how}`, http, "--compressed");
        hasNoValue(text);
        expect([how, status]).toEqual([how, 0]);
        const [head = "", ...rest] = text.split("\r\n\r\n");
        expect(head.toLowerCase()).toContain(`x-seen: ${ph}`);
        expect(head.toLowerCase()).toContain(`set-cookie: seen=${ph}; path=/`);
        const body = rest.join("\r\n\r\n");
        if (form === "hex") expect(body).toContain(Buffer.from(ph).toString("hex"));
        else if (form === "base64") {
          expect(Buffer.from(body.split("\r\n")[0] ?? "", "base64").toString()).toContain(
            ph.slice(1, -1),
          );
        } else expect(body).toContain(ph);
      }
    },
  );

  test("so it does in trailers, redirects, and answers without a body", async () => {
    const ph = placeholder("MIRRORED");
    const trailing = await mirror("piece=3", http);
    expect(trailing.text.toLowerCase()).toContain(`x-sum: ${ph}`);
    const redirected = await mirror("status=302&to=https://bad.cdn.test/?k=", http);
    expect(redirected.text).toContain(`https://bad.cdn.test/?k=${ph}`);
    const headed = await mirror("length&form=long", http, "--head");
    expect(headed.text.toLowerCase()).toContain(`content-length: ${200_000 + 52}`);
    for (const { text } of [trailing, redirected, headed]) hasNoValue(text);
  });

  test("large answers and parts keep their lengths", async () => {
    const large = await mirror("length&form=long", http);
    expect(large.text.toLowerCase()).toContain(`content-length: ${200_000 + 52}`);
    expect(large.text.split("\r\n\r\n")[1]).toHaveLength(200_000 + 52);
    const part = await mirror("ranges&length", http, "-r", "0-");
    expect(part.text).toContain(" 206");
    expect(part.text.toLowerCase()).toContain("content-range: bytes 0-53/54");
    for (const { text } of [large, part]) hasNoValue(text);
  });

  test("what cannot be read goes no further, and never ends as if it were whole", async () => {
    for (const query of ["coding=compress", "coding=gzip&cut=1&length"]) {
      const { text } = await mirror(query, http);
      expect(text).toContain(" 502");
      expect(text).toContain("sbx-reason: secret-unreadable");
      hasNoValue(text);
    }
    const cut = await mirror("coding=gzip&cut=1", http, "--compressed");
    expect(cut.status).not.toBe(0);
    const bomb = await mirror("coding=gzip&form=bomb", http, "--compressed", "-o", "/dev/null");
    expect(bomb.status).toBe(0); // as far as gzip goes, and in pieces
    hasNoValue(cut.text);
  });

  test("events come one by one", async () => {
    const ph = placeholder("MIRRORED");
    const { text } = await curl(
      http,
      "-N",
      "-H",
      `Authorization: Bearer ${ph}`,
      `${MIRROR}/events`,
    );
    expect(text.split("\r\n\r\n")[1]).toBe(`data: one\n\ndata: Bearer ${ph}\n\ndata: three\n\n`);
  });

  test("a server is asked for what can be read", async () => {
    const { text } = await mirror("", http, "-H", "Accept-Encoding: dcb, gzip, compress");
    expect(text.toLowerCase()).toContain("x-asked: gzip\r\n");
  });

  test("a guest logs in, calls and refreshes without ever holding a token", async () => {
    const heard: string[] = [];
    const grant = async (...fields: readonly string[]) => {
      const { text } = await curl(
        http,
        ...fields.flatMap((one) => ["--data-urlencode", one]),
        `${LOGIN}/oauth/token`,
      );
      heard.push(text);
      return JSON.parse(text.slice(text.indexOf("{")));
    };
    const me = async (token: string) => {
      const { text } = await curl(
        http,
        "-H",
        `Authorization: Bearer ${token}`,
        `${LOGIN}/oauth/me`,
      );
      heard.push(text);
      return text.split("\r\n\r\n")[1];
    };
    const first = await grant(
      "grant_type=client_credentials",
      `client_secret=${placeholder("CLIENT")}`,
    );
    expect(await me(first.access_token)).toBe(`1: Bearer ${first.access_token}\n`);
    const second = await grant("grant_type=refresh_token", `refresh_token=${first.refresh_token}`);
    expect(await me(second.access_token)).toBe(`2: Bearer ${second.access_token}\n`);
    for (const text of heard) expect(text).not.toContain("real-");
    // A token of nobody's is a credential of the guest's own, and a placeholder goes to no other host.
    expect(await me("real-access-1")).toContain("foreign-credential");
    const stray = await curl(
      http,
      "-H",
      `X: ${second.access_token}`,
      `${MIRROR}/mirror`,
    );
    expect(stray.status).not.toBe(0);
    expect(stray.text).toBe("");
  });
});

test("two sides that wait for each other's next message are not held up by what looks like a value", async () => {
  // Its hexadecimal form begins with a 6, as one of the messages ends.
  expect(Buffer.from(VALUES.MIRRORED).toString("hex")).toStartWith("6");
  const { status, stdout, stderr } = await guest.run(
    [
      buildGo("webclient"),
      "grpc",
      "--url",
      MIRROR,
      "--ca",
      guest.authority,
      "--bearer",
      placeholder("MIRRORED"),
      "--count",
      "12",
    ],
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(JSON.parse(stdout)).toMatchObject({ echoed: 12, end: "EOF" });
});

test("what was replaced is told once an answer, and a secret that wants no mask is let through", async () => {
  const at = guest.journal.length;
  await mirror("piece=1");
  const masked = () =>
    guest.journal.slice(at).filter(({ event, what }) => event === "secret" && what === "masked");
  await until("what was replaced", () => masked().length >= 2);
  expect(masked().map(({ name, host, place, count }) => [name, host, place, count])).toEqual([
    ["MIRRORED", "good.cdn.test", "header", 3],
    ["MIRRORED", "good.cdn.test", "body", 1],
  ]);
  const { text } = await curl(
    "-H",
    `Authorization: Bearer ${placeholder("OPEN")}`,
    "https://h1.tls.test/mirror",
  );
  expect(text).toContain(VALUES.OPEN);
  for (const line of guest.journal) {
    for (const value of [...Object.values(VALUES), "real-access"]) {
      expect(JSON.stringify(line)).not.toContain(value);
    }
  }
});

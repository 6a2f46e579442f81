/**
 * The recipes of docs/secrets.md as they are written, and a client in Go: real programs in a real guest, each with
 * a placeholder for its key. The servers get the values, whole and where they belong, and the guest never has one.
 *
 * All in one guest; those that take long under emulation only where SBX_ALL_CLIENTS is set, which is what
 * scripts/test-secret-clients does. SBX_CARGO is where a Rust toolchain is.
 */
import { Buffer } from "node:buffer";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type Batch, inGuest } from "../support/batch.ts";
import { buildGo } from "../support/build.ts";
import { page } from "../support/documents.ts";
import { DAY_TOKEN, membersOf, openAccounts, valuesOf } from "../support/members.ts";
import { PUBLIC } from "../support/places.ts";
import { filesIn, quoted, recipesIn, together } from "../support/recipes.ts";
import type { Report } from "../support/recorder.ts";
import { publish } from "../support/registry.ts";
import { MEET, type SandboxScan, scanSandbox } from "../support/sandbox_scan.ts";
import { formsOf } from "../support/scan.ts";
import { openWorld, ROOT, type World } from "../support/world.ts";

const PAGE = page("docs/secrets.md");

/** What each recipe prints, in the page's order. */
const PRINTED: readonly (readonly [
  heading: string,
  pace: "quick" | "slow",
  ...printed: (string | RegExp)[],
])[] = [
  [
    "First example",
    "quick",
    new RegExp(`^\\S{20,}\\nhello from ${PUBLIC}:443 as api.github.com over HTTP/2.0\\n$`),
  ],
  ["git", "quick", "hello from a repository\n", /^[0-9a-f]{40}\trefs\/heads\/main\n$/],
  ["npm", "slow", "greet\n"],
  ["pip", "slow", "/tmp/lib/greet.py\n"],
  ["cargo", "slow", 'name = "greet"\nversion = "1.0.0"\n'],
  ["Container registries", "quick", '{"schemaVersion":2,"layers":[]}\n'],
  ["OpenAI, Anthropic and their kind", "slow", "hello from a model", "hello from a model"],
];

/** What is shown for a program of the reader's own cannot be run here, nor Amazon's (shown_commands.ts). */
const recipes = recipesIn(PAGE).filter(({ command: [program = ""] }) =>
  !program.startsWith("./") && program !== "aws"
);
const { SBX_ALL_CLIENTS, SBX_CARGO } = process.env;
const paces = new Map(PRINTED.map(([heading, pace]) => [heading, pace]));
const runs = ({ heading }: { readonly heading: string }) => {
  if (heading === "cargo" && SBX_CARGO === undefined) return false;
  return paces.get(heading) === "quick" || SBX_ALL_CLIENTS !== undefined;
};
const taken = recipes.flatMap((recipe, index) => runs(recipe) ? [{ ...recipe, index }] : []);
const expected = PRINTED.flatMap(([heading, , ...printed]) =>
  printed.map((text) => [heading, text] as const)
);

/** The memory of what hides it from its own user. */
const mayRead = process.getuid?.() === 0;

/** What the guest is given, and what it makes of it: a scan has to find that. */
const PLANTED = randomBytes(12).toString("hex");
const PLANT = { name: "planted", bytes: Buffer.from([...PLANTED].reverse().join("")) };

const core = randomBytes(12).toString("hex");
const accounts = openAccounts(core);

let world: World;
let batch: Batch<string>;
let seen: Report;
let scan: SandboxScan | undefined;
let journal: readonly Record<string, unknown>[];

beforeAll(async () => {
  world = await openWorld({ members: membersOf(accounts) });
  publish(world.files, "https://good.cdn.test/files", {
    npm: "https://registry.npmjs.org",
    crates: "https://crates.example.com",
  });
  const app = join(world.scratch, "app");
  mkdirSync(app);
  for (const { name, code } of filesIn(PAGE)) writeFileSync(join(app, name), code);
  symlinkSync("/sdk", join(app, "node_modules")); // where it is in the guest
  const tools = join(world.scratch, "tools");
  mkdirSync(tools);
  copyFileSync(buildGo("webclient"), join(tools, "webclient"));
  const sdk = join(ROOT, ".cache/test/sdk/node_modules");
  const log = join(world.scratch, "journal");
  const commands = taken.map(({ heading, index, command }) => [
    `recipe${index}`,
    (heading === "cargo" ? "PATH=/rust/bin:$PATH " : "") + quoted(command),
  ]);
  const meet = join(world.scratch, "meet");
  mkdirSync(meet);
  const running = inGuest(
    world,
    [
      ...["--upstream-ca", world.ca, ...world.withCa, "--log", log, "-m", "1024"],
      ...["-v", `${tools}:/tools:ro`, "-v", `${sdk}:/sdk:ro`, "-v", `${meet}:/meet`],
      ...(SBX_CARGO === undefined ? [] : ["-v", `${SBX_CARGO}:/rust:ro`]),
      ...together(recipes),
      ...["--secret", "RPC_TOKEN@rpc.example.com"],
      // This machine's npm may have another registry by its configuration, which the guest sees.
      ...["-e", "npm_config_registry=https://registry.npmjs.org/"],
    ],
    {
      // What is not opened shows the guest the certificates of the fake internet.
      trust: 'cat /trust/ca.pem >>"$CURL_CA_BUNDLE"',
      ...Object.fromEntries(commands),
      grpc: '/tools/webclient grpc --url https://rpc.example.com --bearer "$RPC_TOKEN" --count 5',
      push: `cd /tmp/greet && git -c user.name=you -c user.email=you@example.com ` +
        `commit -q --allow-empty -m 'from a guest' && git push -q origin HEAD:refs/heads/guest`,
      environment: "env",
      planted: `printf ${PLANTED} | rev >/dev/shm/planted`,
      meet: MEET,
    },
    { limit: 850, env: valuesOf(accounts), cwd: app },
  );
  const forms = [...formsOf(core), PLANT];
  const scanned = (mayRead ? scanSandbox(meet, [meet], forms) : Promise.resolve(undefined))
    .finally(() => writeFileSync(join(meet, "done"), ""));
  [batch, scan] = await Promise.all([running, scanned]);
  seen = await world.internet.report();
  journal = readFileSync(log, "utf8").trim().split("\n").map((line) => JSON.parse(line));
}, 900_000);
afterAll(() => world?.[Symbol.asyncDispose]());

/** What a probe said, on both streams. */
const said = (name: string) => `${batch.probes[name]?.stdout}${batch.probes[name]?.stderr}`;

describe("with a placeholder for its key", () => {
  test("every recipe of the page has its place here", () => {
    expect(recipes.map(({ heading }) => heading)).toEqual(expected.map(([heading]) => heading));
  });

  test.each(taken.map(({ heading, index }) => [heading, index] as const))(
    "the recipe for %s does what the page says",
    (_heading, index) => {
      const [, printed = ""] = expected[index] ?? [];
      if (typeof printed === "string") expect(said(`recipe${index}`)).toBe(printed);
      else expect(said(`recipe${index}`)).toMatch(printed);
    },
  );

  test("git pushes, and gRPC has its metadata", () => {
    expect(said("push")).toBe("");
    expect(said("grpc")).toBe('{"echoed":5,"end":"EOF","trailer":["iiiii"]}\n');
  });

  test("each server gets the value that is for it, and no other credential", () => {
    for (const [host, { field, value }] of Object.entries(membersOf(accounts))) {
      for (const { fields, status } of seen.letters.filter((letter) => letter.host === host)) {
        // Who was not let in is a client that asks first whether it has to prove who it is.
        if (status === 401) expect(Object.keys(fields)).not.toContain(field);
        else expect(fields[field]).toEqual([value]);
      }
    }
    const served = new Set(seen.letters.filter(({ status }) => status < 400).map((l) => l.host));
    expect([...served].sort()).toEqual(expectedServers());
  });

  test("a value is nowhere but at its own server, and no placeholder is anywhere", () => {
    const placeholders = accounts.map(({ name }) => {
      return new RegExp(`^${name}=(.+)$`, "m").exec(said("environment"))?.[1] ?? "none";
    });
    expect(placeholders).not.toContain("none");
    for (const letter of seen.letters) {
      const text = JSON.stringify(letter);
      for (const { value, servers } of accounts) {
        if (!(letter.host in servers)) expect(text).not.toContain(value);
      }
      for (const placeholder of placeholders) expect(text).not.toContain(placeholder);
    }
    const registry = seen.letters.filter(({ host }) => host === "registry-1.docker.io");
    expect(registry.map(({ fields }) => fields.authorization)).toEqual([[`Bearer ${DAY_TOKEN}`]]);
  });

  test("the guest sees no value, in its environment or in any answer", () => {
    const everything = JSON.stringify([batch.probes, journal]) + batch.run.stderr;
    for (const { value } of accounts) expect(everything).not.toContain(value);
  });

  test.if(mayRead)(
    "no value is in the memory of the machine or of anything else below sbx, nor in what they show",
    () => {
      expect(scan?.processes.some((name) => name.startsWith("qemu"))).toBe(true);
      expect(scan?.hits.filter(({ form }) => form !== PLANT.name)).toEqual([]);
      expect(scan?.hits).toContainEqual({
        where: expect.stringMatching(/^memory of qemu/),
        form: PLANT.name,
      });
    },
  );

  test("the journal has each use, and only the hosts of secrets were opened", () => {
    const used = journal.filter(({ event, what }) => event === "secret" && what === "sent");
    const hosts = new Set(used.map(({ host }) => host));
    expect([...hosts, "registry-1.docker.io"].sort()).toEqual(expectedServers());
    const opened = journal.filter(({ event }) => event === "request").map(({ host }) => host);
    expect(opened).not.toContain("registry-1.docker.io");
  });
});

/** Of what ran. */
function expectedServers(): string[] {
  const hosts = taken.flatMap(({ options }) =>
    options.flatMap((word, at) =>
      options[at - 1] === "--secret" ? word.slice(word.lastIndexOf("@") + 1).split(",") : []
    )
  );
  return [...new Set([...hosts, "registry-1.docker.io", "rpc.example.com"])].sort();
}

/**
 * Homes for guests of Lima's own drivers, on Lima's own limactl: what it makes of them without sbx. No guest boots.
 * scripts/test-lima runs this, as limactl takes minutes to build.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fieldOf, FIELDS } from "../support/lima/fields.ts";
import { type LimaHost, openLimaHost } from "../support/lima/host.ts";
import { realLimactl } from "../support/lima/real_limactl.ts";
import { start, until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

const LIMIT_MS = 600_000;

let world: World;
let host: LimaHost;
let template: string;
beforeAll(async () => {
  world = await openWorld();
  host = await openLimaHost(world, [realLimactl()]);
  const disk = host.file("disk.img", "no disk");
  template = host.file(
    "template.yaml",
    JSON.stringify({ images: [{ location: disk, arch: "x86_64" }], user: { name: "tester" } }),
  );
}, LIMIT_MS);
afterAll(() => world?.[Symbol.asyncDispose]());

const home = (name: string) => join(host.home, ".local/share/sbx/lima-homes", name);
const network = (name: string) => join(home(name), "_networks/sbx");
const limactl = (name: string, ...args: readonly string[]) =>
  host.run(["env", `LIMA_HOME=${home(name)}`, join(host.home, "bin/limactl"), ...args], {
    limit: 120,
  });

/** Only the making of it: it has no disk to boot from. */
async function made(name: string): Promise<void> {
  await host.sbx("lima", "start", name, template, "--driver", "qemu", "--start-timeout", "1s");
  expect(existsSync(join(home(name), name, "lima.yaml"))).toBe(true);
}

/** Lima's own words when it would have the daemon's directory. */
const CLOSED = /_networks\/sbx\/[^ ]*: permission denied/;

async function startsNothing(name: string): Promise<void> {
  const { status, stdout, stderr } = await limactl(name, "start", "--tty=false", name);
  expect(status).not.toBe(0);
  expect(stdout + stderr).toMatch(CLOSED);
  expect(readFileSync(join(network(name), "usernet_sbx.pid"), "utf8")).toBe("");
}

test("limactl alone starts no guest in such a home, and no daemon", async () => {
  await made("alone");
  await startsNothing("alone");
}, LIMIT_MS);

test("nor after a kill -9 of the sbx that listened", async () => {
  await made("killed");
  const dir = join(home("killed"), "killed");
  const [whole = ""] = (await limactl("killed", "list", "--json")).stdout.split("\n");
  const sbx = start(host.as([join(host.home, "sbx"), "lima-guest", "run", dir]), { limit: 120 });
  sbx.child.stdin?.write(`${whole}\n`);
  await until("sbx to listen", () => sbx.stdout().includes('"listening"'), 30);
  process.kill(Number(readFileSync(join(network("killed"), "usernet_sbx.pid"), "utf8")), "SIGKILL");
  await sbx.ended;
  const { status, stdout, stderr } = await limactl("killed", "start", "--tty=false", "killed");
  expect([status === 0, CLOSED.test(stdout + stderr)]).toEqual([false, true]);
}, LIMIT_MS);

test("a directory that was there where an instance was to be made stays", async () => {
  const disk = join(home("foreign"), "foreign", "disk");
  for (const path of [home("foreign"), join(home("foreign"), "foreign")]) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    host.own(path);
  }
  writeFileSync(disk, "mine");
  host.own(disk);
  const { status } = await host.sbx("lima", "start", "foreign", template, "--driver", "qemu");
  expect(status).not.toBe(0);
  expect(readFileSync(disk, "utf8")).toBe("mine");
}, LIMIT_MS);

test("what Lima clones in such a home is not started, and not removed with its guest", async () => {
  await made("cloned");
  const clone = join(home("cloned"), "copy/lima.yaml");
  expect((await limactl("cloned", "clone", "--tty=false", "cloned", "copy")).status).toBe(0);
  const { status, stderr } = await host.sbx("lima", "rm", "--force", "cloned");
  expect([status, stderr]).toEqual([0, expect.stringContaining("Lima has others in the home")]);
  expect([existsSync(join(home("cloned"), "cloned")), existsSync(clone)]).toEqual([false, true]);
  const started = await limactl("cloned", "start", "--tty=false", "copy");
  expect([started.status === 0, CLOSED.test(started.stdout + started.stderr)]).toEqual([
    false,
    true,
  ]);
  expect((await limactl("cloned", "delete", "copy")).status).toBe(0);
  expect((await host.sbx("lima", "rm", "cloned")).status).toBe(0);
  expect(existsSync(home("cloned"))).toBe(false);
}, LIMIT_MS);

test("what Lima cannot make leaves no home, and rm removes one", async () => {
  const broken = host.file("broken.yaml", "images: 7\n");
  const { status } = await host.sbx("lima", "start", "broken", broken, "--driver", "qemu");
  expect([status === 0, existsSync(home("broken"))]).toEqual([false, false]);
  expect((await host.sbx("lima", "rm", "--force", "alone")).status).toBe(0);
  expect(existsSync(home("alone"))).toBe(false);
}, LIMIT_MS);

interface Schema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly $defs?: Readonly<Record<string, Schema>>;
}

/** The paths of all fields that are no list and no map of the user's own. */
function pathsOf(schema: Schema, root: Schema = schema): readonly string[] {
  const whole = schema.$ref === undefined
    ? schema
    : root.$defs?.[schema.$ref.split("/").at(-1) ?? ""] ?? {};
  return Object.entries(whole.properties ?? {}).flatMap(([name, property]) => {
    const below = pathsOf(property, root).map((path) => `${name}.${path}`);
    return below.length === 0 ? [name] : below;
  });
}

test("Lima's yaml has no field that nobody thought of", async () => {
  const { stdout } = await host.run([join(host.home, "bin/limactl"), "generate-jsonschema"]);
  const paths = pathsOf(JSON.parse(stdout));
  expect(paths).toContain("ssh.forwardAgent");
  expect(paths.filter((path) => fieldOf(path) === undefined)).toEqual([]);
  // Nor does the table have one that is Lima's no more.
  const isThere = (name: string) =>
    paths.some((path) => path === name || path.startsWith(`${name}.`));
  expect(Object.keys(FIELDS).filter((name) => !isThere(name))).toEqual([]);
}, LIMIT_MS);

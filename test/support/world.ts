/**
 * The world that end-to-end tests run in: two network namespaces, one of which is the host that sbx
 * believes in, the other everything it could reach. Nothing leaves the machine. As root the namespaces
 * are made directly, otherwise inside a user namespace, so that no privilege is needed.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { buildGo } from "./build.ts";
import {
  ALL_ADDRESSES,
  HOST_ANY_PORT,
  HOST_LOOPBACK_PORT,
  LIES,
  PORT,
  PUBLIC,
  UNREACHABLE,
  ZONE,
} from "./places.ts";
import { type Run, run, type Running, type RunOptions, start } from "./process.ts";
import { type Listener, type Members, Recorder } from "./recorder.ts";

export const ROOT = resolve(import.meta.dirname, "../..");

/** The binary under test. */
export const SBX = process.env.SBX_BINARY ?? join(ROOT, "dist/sbx");

export interface World {
  /** A scratch directory that goes away with the world. */
  readonly scratch: string;
  /** The process that holds the host's namespaces. */
  readonly hostPid: number;
  /** PEM file of the authority behind every TLS server of the fake internet. */
  readonly ca: string;
  /** Options of `sbx run` that show it to the guest as /trust/ca.pem. */
  readonly withCa: readonly string[];
  /** Served under /files/ by every web server. */
  readonly files: string;
  readonly internet: Recorder;
  readonly host: Recorder;
  /** Runs a program on the host. */
  run(argv: readonly string[], options?: RunOptions): Promise<Run>;
  startOnHost(argv: readonly string[], options?: RunOptions): Running;
  /** Runs sbx on the host. */
  sbx(args: readonly string[], options?: RunOptions): Promise<Run>;
  /** Starts sbx on the host; the process id is sbx's own. */
  start(args: readonly string[], options?: RunOptions): Running;
  /** argv of a program, made to run on the host or out in the internet. */
  onHost(argv: readonly string[]): string[];
  outside(argv: readonly string[]): string[];
  /** The same as `onHost` with the power over the host's namespaces that a test needs, and sbx does not. */
  onHostAsRoot(argv: readonly string[]): string[];
  [Symbol.asyncDispose](): Promise<void>;
}

const INTERNET: readonly Listener[] = [
  { net: "tcp", at: `:${PORT.http}`, as: "http" },
  { net: "tcp", at: `:${PORT.https}`, as: "https" },
  { net: "tcp", at: `:${PORT.https2}`, as: "https" },
  { net: "tcp", at: `:${PORT.tls}`, as: "tls" },
  { net: "tcp", at: `:${PORT.banner}`, as: "banner" },
  { net: "tcp", at: `:${PORT.echo}`, as: "echo" },
  { net: "tcp", at: `:${PORT.bulk}`, as: "bulk" },
  { net: "udp", at: `:${PORT.echo}`, as: "echo" },
  { net: "udp", at: ":53", as: "names" },
  { net: "tcp", at: ":53", as: "names" },
];

const HOST: readonly Listener[] = [
  { net: "tcp", at: `127.0.0.1:${HOST_LOOPBACK_PORT}`, as: "canary" },
  { net: "tcp", at: `[::1]:${HOST_LOOPBACK_PORT}`, as: "canary" },
  { net: "tcp", at: `:${HOST_ANY_PORT}`, as: "canary" },
  { net: "udp", at: `:${HOST_ANY_PORT}`, as: "canary" },
];

export interface WorldOptions {
  /** Leaves the servers and their recording out, which cost what a measurement is about. */
  readonly bare?: boolean;
  /** No templates are made before, as for tests that have a cache of their own. */
  readonly cold?: boolean;
  /** Servers at names of their own that want a credential, all of them at one address. */
  readonly members?: Members;
  /** Further names at that address, for anybody. */
  readonly names?: readonly string[];
}

export async function openWorld(
  { bare = false, cold = false, members = {}, names = [] }: WorldOptions = {},
): Promise<World> {
  const scratch = mkdtempSync(join(tmpdir(), "sbx-world-"));
  // QEMU, which may run as nobody, has to see what is mounted from here.
  chmodSync(scratch, 0o755);
  const files = join(scratch, "files");
  mkdirSync(files);
  const servers = buildGo("internet");
  const root = process.getuid?.() === 0;
  const kinds = root ? ["--mount", "--net"] : ["--user", "--map-root-user", "--mount", "--net"];
  const fakenet = spawn(
    "unshare",
    [...kinds, "--propagation", "private", join(ROOT, "test/support/fakenet.sh")],
    {
      stdio: ["pipe", "pipe", "inherit"],
      env: {
        ...process.env,
        ADDRESSES: ALL_ADDRESSES.join(" "),
        UNREACHABLE,
        SCRATCH: scratch,
      },
    },
  );
  const [host = "", internet = ""] = await ready(createInterface({ input: fakenet.stdout }));
  const enter = (pid: string, mount: readonly string[]) => [
    "nsenter",
    "--target",
    pid,
    "--net",
    ...mount,
    ...(root ? [] : ["--user", "--preserve-credentials"]),
    "--",
  ];
  const inside = enter(host, ["--mount"]);
  const beyond = enter(internet, []);
  // Mapped to root in the world's user namespace; sbx should see the user that it is.
  const self = root ? [] : [
    "unshare",
    "--user",
    `--map-user=${process.getuid?.()}`,
    `--map-group=${process.getgid?.()}`,
    "--",
  ];
  const onHost = (argv: readonly string[], cwd = ROOT) => //
  [...inside, "env", `--chdir=${cwd}`, ...self, ...argv];
  const outside = (argv: readonly string[]) => [...beyond, ...argv];

  const named = [...Object.keys(members), ...names];
  const at = Object.fromEntries(named.map((name) => [name, { A: [PUBLIC] }]));
  const out = await Recorder.start(
    outside([servers]),
    bare ? { listeners: [] } : {
      listeners: INTERNET,
      capture: "dn0",
      files,
      zone: { ...ZONE, ...at },
      lies: LIES,
      members,
    },
  );
  const own = await Recorder.start(onHost([servers]), { listeners: bare ? [] : HOST });
  const trust = join(scratch, "trust");
  mkdirSync(trust);
  const ca = join(trust, "ca.pem");
  writeFileSync(ca, out.ca);
  const sbxEnv = { XDG_CACHE_HOME: join(ROOT, ".cache/test") };
  if (!cold) await makeTemplates(sbxEnv);
  const withEnv = (options: RunOptions) => ({ ...options, env: { ...sbxEnv, ...options.env } });
  return {
    scratch,
    hostPid: Number(host),
    ca,
    withCa: ["-v", `${trust}:/trust:ro`],
    files,
    internet: out.recorder,
    host: own.recorder,
    run: (argv, options = {}) => run(onHost(argv, options.cwd), without(options)),
    startOnHost: (argv, options = {}) => start(onHost(argv, options.cwd), without(options)),
    sbx: (args, options = {}) =>
      run(onHost([SBX, ...args], options.cwd), without(withEnv(options))),
    start: (args, options = {}) =>
      start(onHost([SBX, ...args], options.cwd), without(withEnv(options))),
    onHost: (argv) => onHost(argv),
    onHostAsRoot: (argv) => [...inside, ...argv],
    outside,
    async [Symbol.asyncDispose]() {
      await Promise.all([out.recorder.stop(), own.recorder.stop()]);
      fakenet.stdin.end();
      await new Promise<void>((resolve) =>
        fakenet.exitCode === null ? fakenet.once("close", () => resolve()) : resolve()
      );
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

/**
 * Guests of the usual sizes go on from templates, as wherever sbx was used before; and no run makes one
 * behind a test.
 */
async function makeTemplates(env: Readonly<Record<string, string>>): Promise<void> {
  for (const kind of [[], ["--no-net"], ["--no-root"], ["--no-net", "--no-root"]]) {
    const { status, stderr } = await run([SBX, "template", "build", ...kind], { env, limit: 300 });
    if (status !== 0) throw new Error(`no template: ${stderr}`);
  }
}

/** The directory is entered inside the namespace; nsenter itself would lose it. */
function without({ cwd: _, ...rest }: RunOptions): RunOptions {
  return rest;
}

async function ready(lines: AsyncIterable<string>): Promise<string[]> {
  for await (const line of lines) {
    const [word, ...pids] = line.split(" ");
    if (word === "ready") return pids;
  }
  throw new Error("the fake internet did not start; see stderr");
}

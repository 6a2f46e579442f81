/**
 * A user of Lima's on the host of a world: a home, sbx and its driver, and instances whose guests are small.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { buildGo } from "../build.ts";
import { LimactlClient } from "../limactl.ts";
import { ordinaryUser } from "../ordinary_user.ts";
import type { Run, RunOptions } from "../process.ts";
import { SBX, type World } from "../world.ts";
import { makeSmallGuest, type TestGuest } from "./small_guest.ts";

/** Lima does not run as root, and neither does its driver. SSH runs for nobody without a name. */
export const USER = 5;

export interface LimaHost {
  /** The user's home directory. */
  readonly home: string;
  /** argv of a program that the user runs on the host. */
  as(argv: readonly string[]): string[];
  run(argv: readonly string[], options?: RunOptions): Promise<Run>;
  sbx(...args: readonly string[]): Promise<Run>;
  /** Runs sbx as the user, with a text on standard input. */
  sbxWith(stdin: string, ...args: readonly string[]): Promise<Run>;
  /** The guest of instances that are given none. */
  readonly small: TestGuest;
  /** Gives a file to the user. */
  own(path: string): void;
  /** A file of the user's own; answers its path. */
  file(name: string, text: string): string;
  /** A new instance; what `config` has goes over what Lima fills in. */
  instance(
    name: string,
    config?: Readonly<Record<string, unknown>>,
    guest?: TestGuest,
  ): LimaTestInstance;
}

export type Role = "driver" | "sbx" | "netstack" | "watchdog" | "qemu";

const ROLES: readonly (readonly [Role, RegExp])[] = [
  ["sbx", /\0lima-guest\0run\0/],
  ["netstack", /\0serve\0/],
  ["watchdog", /\0watch\0/],
  ["qemu", /^[^\0]*qemu-system/],
];

/** Whether it runs; one that is dead and that nobody asked about does not. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\t[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Those that run. */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").trim().split(" ")
        .filter(Boolean).map(Number)
    ).filter(isAlive);
  } catch {
    return [];
  }
}

export class LimaTestInstance {
  readonly dir: string;
  readonly port: number;
  readonly #host: LimaHost;
  readonly #world: World;
  readonly #guest: TestGuest;
  readonly #driver: string;
  readonly #given: string;

  constructor(
    host: LimaHost,
    world: World,
    guest: TestGuest,
    driver: string,
    place: { readonly dir: string; readonly name: string; readonly port: number },
    config: Readonly<Record<string, unknown>>,
  ) {
    const { dir, name, port } = place;
    this.dir = dir;
    this.port = port;
    this.#host = host;
    this.#world = world;
    this.#guest = guest;
    this.#driver = driver;
    this.#given = JSON.stringify({
      name,
      dir,
      arch: process.arch === "arm64" ? "aarch64" : "x86_64",
      cpus: 1,
      memory: this.#guest.memory,
      sshLocalPort: port,
      config: { vmType: "sbx", os: "Linux", plain: true, ...config },
    });
  }

  /** limactl or its hostagent, with the driver that it starts or finds. */
  async open(env: Readonly<Record<string, string>> = {}): Promise<LimactlClient> {
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    return await LimactlClient.open(
      this.#host.as(["env", ...variables, buildGo("limactl"), this.#driver, this.dir]),
    );
  }

  /** What Lima does before it starts the guest; answers the instance as it was configured. */
  async prepare(lima: LimactlClient): Promise<Readonly<Record<string, unknown>>> {
    const { value, error } = await lima.call("Configure", this.#given);
    if (error !== "") throw new Error(error);
    const configured = JSON.parse(value) as {
      readonly config: {
        readonly caCerts?: { readonly certs?: readonly string[] };
        readonly provision?: readonly { readonly script: string }[];
      };
    };
    const { caCerts, provision = [] } = configured.config;
    // Where Lima would write its cloud-init.
    const scripts = provision.map(({ script }) => script);
    this.#guest.tell(this.dir, caCerts?.certs ?? [], scripts);
    return configured;
  }

  /** What `limactl list` would say. */
  async status(): Promise<string> {
    const stdin = JSON.stringify(Buffer.from(this.#given).toString("base64"));
    const { stdout } = await this.#host.run([this.#driver, "--inspect-status"], { stdin });
    const answer: unknown = JSON.parse(Buffer.from(JSON.parse(stdout), "base64").toString("utf8"));
    return (answer as { readonly status: string }).status;
  }

  /** The processes that run for it, by what they are. */
  family(): ReadonlyMap<Role, number> {
    const driver = Number(readFileSync(join(this.dir, "sbx.drv.pid"), "utf8"));
    const found = new Map<Role, number>(isAlive(driver) ? [["driver", driver]] : []);
    for (const parent of ["driver", "sbx"] as const) {
      for (const pid of childrenOf(found.get(parent) ?? -1)) {
        const argv = readFileSync(`/proc/${pid}/cmdline`, "latin1");
        const role = ROLES.find(([, pattern]) => pattern.test(argv))?.[0];
        if (role !== undefined) found.set(role, pid);
      }
    }
    return found;
  }

  /** Runs a command in the guest, once its SSH server is there. */
  async ssh(command: string): Promise<Run> {
    const options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
      .flatMap((option) => ["-o", option]);
    const argv = ["ssh", "-i", this.#guest.key, "-p", String(this.port), ...options];
    const end = performance.now() + this.#guest.bootSeconds * 1000;
    for (;;) {
      const run = await this.#world.run([...argv, "root@127.0.0.1", command]);
      // 255 is SSH's own failure.
      if (run.status !== 255 || performance.now() > end) return run;
      await new Promise((wake) => setTimeout(wake, 500));
    }
  }
}

/** As Lima's hostagent writes it. */
export function sshConfig(dir: string, name: string, port: number): string {
  const options = [
    `IdentityFile "${dir}/key"`,
    "StrictHostKeyChecking no",
    "UserKnownHostsFile /dev/null",
    "NoHostAuthenticationForLocalhost yes",
    "PreferredAuthentications publickey",
    "BatchMode yes",
    "IdentitiesOnly yes",
    "User root",
    "ControlMaster auto",
    `ControlPath "${dir}/ssh.sock"`,
    "ControlPersist yes",
    "Hostname 127.0.0.1",
    `Port ${port}`,
  ];
  return [`Host lima-${name.replace(/[._]/g, "-")}`, ...options.map((option) => `  ${option}`), ""]
    .join("\n");
}

/**
 * Prepares the host. Everything is below the world's scratch directory, and goes with it. `programs` are put on
 * the user's PATH.
 */
export async function openLimaHost(
  world: World,
  programs: readonly string[] = [],
): Promise<LimaHost> {
  const home = join(world.scratch, "lima");
  mkdirSync(home);
  const user = process.getuid?.() === 0 ? USER : process.getuid?.() ?? USER;
  const own = (path: string) => process.getuid?.() === 0 && chownSync(path, user, user);
  own(home);
  const binary = join(home, "sbx");
  copyFileSync(SBX, binary);
  chmodSync(binary, 0o755);
  const become = ordinaryUser(user);
  const bin = join(home, "bin");
  mkdirSync(bin);
  for (const program of programs) {
    copyFileSync(program, join(bin, basename(program)));
    chmodSync(join(bin, basename(program)), 0o755);
  }
  const env = ["env", "-i", `HOME=${home}`, `PATH=${bin}:${process.env["PATH"] ?? ""}`];
  const as = (argv: readonly string[]) => world.onHost([...become, ...env, ...argv]);
  const directory = join(world.scratch, "small-guest");
  mkdirSync(directory);
  const small = makeSmallGuest(directory);
  let count = 0;
  const host: LimaHost = {
    home,
    small,
    as,
    run: (argv, options) => world.run([...become, ...env, ...argv], options),
    sbx: (...args) => world.run([...become, ...env, binary, ...args]),
    sbxWith: (stdin, ...args) => world.run([...become, ...env, binary, ...args], { stdin }),
    own: (path) => void own(path),
    file(name, text) {
      const path = join(world.scratch, name);
      writeFileSync(path, text);
      own(path);
      return path;
    },
    instance(name, config = {}, guest = small) {
      const dir = join(home, name);
      mkdirSync(dir, { mode: 0o700 });
      copyFileSync(guest.kernel, join(dir, "kernel"));
      writeFileSync(join(dir, "kernel.cmdline"), guest.commandLine);
      guest.fetch(dir);
      const port = 60_000 + ++count;
      copyFileSync(guest.key, join(dir, "key"));
      writeFileSync(join(dir, "ssh.config"), sshConfig(dir, name, port), { mode: 0o600 });
      for (const name of ["", ...readdirSync(dir)]) own(join(dir, name));
      const place = { dir, name, port };
      return new LimaTestInstance(host, world, guest, driver, place, config);
    },
  };
  const installed = await host.sbx("lima", "driver");
  if (installed.status !== 0) throw new Error(installed.stderr);
  const driver = join(installed.stdout.trim(), "lima-driver-sbx");
  return host;
}

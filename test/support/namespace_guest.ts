/**
 * A guest without a machine: a network namespace whose only link is a TAP device on netstack, judged by the
 * same network layer as any guest. It runs at native speed, which makes it the one for network tests and for
 * measurements.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import type { SecretShape } from "../../lib/policy/file/secret_shape.ts";
import type { ViolationAction } from "../../lib/policy/model/secret.ts";
import type { TlsSettings } from "../../lib/policy/model/tls_settings.ts";
import type { PolicyChange } from "../../lib/journal/policy_change.ts";
import type { DnsSettings } from "../../lib/policy/model/settings.ts";
import type { NetworkCounts } from "../../lib/sandbox/network_counts.ts";
import type { NetworkOptions, Publication, PublishedPort } from "../../lib/sandbox/options.ts";
import { buildGo } from "./build.ts";
import { type Run, run, type Running, type RunOptions, start } from "./process.ts";
import { residentMiB } from "./process_memory.ts";
import { ROOT, type World } from "./world.ts";

export interface PolicyOptions {
  readonly policy: "public-only" | "allow-all";
  /** Before those of the policy. */
  readonly rules?: readonly string[];
  readonly defaults?: { readonly outbound: "allow" | "deny"; readonly inbound: "allow" | "deny" };
  readonly denyWith?: "drop" | "reject";
}

export interface NamespaceOptions extends PolicyOptions {
  readonly maxConnections?: number;
  readonly newFlowsPerSecond?: number;
  readonly mtu?: number;
  /** The cable is that of a guest of Lima's, and the guest finds its addresses by itself, or does not. */
  readonly unconfigured?: true;
  /** Names that are blocked, with all below them. */
  readonly block?: readonly string[];
  /** All of its settings, as the builders make them; instead of the others here. */
  readonly network?: NetworkOptions;
  /** As in a policy file. Values come from the environment of whoever opens the guest. */
  readonly secrets?: readonly SecretShape[];
  readonly onSecretViolation?: ViolationAction;
  /** Intercepts TLS, with these settings beside the defaults. */
  readonly tls?: Partial<TlsSettings>;
  /** False saves the cost of writing it, for measurements. */
  readonly journal?: boolean;
  readonly publish?: readonly {
    readonly hostPort: number;
    readonly guestPort: number;
    readonly protocol: "tcp" | "udp";
  }[];
}

/** A policy that takes the place of the one in force; what is not said of DNS and TLS stays. */
export interface NextOptions extends PolicyOptions {
  readonly block?: readonly string[];
  readonly dns?: Partial<DnsSettings>;
  readonly tls?: Partial<TlsSettings>;
  /** Secrets that are left out, by their names. */
  readonly takenBack?: readonly string[];
}

/** One thing that the host's side is to do. */
export interface HostCommand {
  readonly apply?: NextOptions;
  readonly dryRun?: boolean;
  readonly publish?: Publication;
  readonly unpublish?: PublishedPort;
  readonly counts?: true;
}

export type JournalLine = Readonly<Record<string, unknown>> & { readonly event: string };

/** argv of namespace_host.ts as it is, run by the interpreter that runs the tests. */
const INTERPRETED = [process.execPath, join(ROOT, "test/support/namespace_host.ts")];

export interface NamespaceGuest {
  readonly netstackPid: number;
  /** The process that decides. */
  readonly deciderPid: number;
  /** Replaces the policy, or tells what that would do. */
  apply(options: NextOptions, how?: { readonly dryRun?: boolean }): Promise<PolicyChange>;
  publish(publication: Publication): Promise<readonly PublishedPort[]>;
  /** How many connections it cut. */
  unpublish(port: PublishedPort): Promise<number>;
  counts(): Promise<NetworkCounts>;
  /** argv of a program, made to run in the guest's namespace. */
  inside(argv: readonly string[]): string[];
  readonly published: readonly PublishedPort[];
  /** The load client, for the other side of the cable. */
  readonly loadPath: string;
  /** PEM file of the authority that the guest would trust; empty where nothing is intercepted. */
  readonly authority: string;
  /** What the guest holds of each secret, by their names. */
  readonly placeholders: Readonly<Record<string, string>>;
  /** Resident memory of the process that decides, in MiB: now, or the most it ever had. */
  deciderMemory(which?: "now" | "peak"): number;
  /** Milliseconds of processor time that its main thread has taken; the runtime's compilers are others. */
  deciderTime(): number;
  /** Journal lines so far. */
  readonly journal: readonly JournalLine[];
  readonly notices: readonly string[];
  /** What a person would be told of denials. */
  readonly denials: readonly string[];
  /** Why a violation ended the sandbox; undefined while none did. */
  readonly terminated: string | undefined;
  /** Runs a program in the guest's namespace. */
  run(argv: readonly string[], options?: RunOptions): Promise<Run>;
  start(argv: readonly string[], options?: RunOptions): Running;
  /** Runs the load client and reads its answer. */
  load<T>(what: string, flags: Readonly<Record<string, string | number>>): Promise<T>;
  /** Resident memory of netstack, in MiB: now, or the most it ever had. */
  netstackMemory(which?: "now" | "peak"): number;
  [Symbol.asyncDispose](): Promise<void>;
}

const NETSTACK = join(ROOT, `vendor/bin/linux-${process.arch}/netstack`);

export async function openNamespaceGuest(
  world: World,
  options: NamespaceOptions,
  program: readonly string[] = INTERPRETED,
  netstack = NETSTACK,
): Promise<NamespaceGuest> {
  const load = buildGo("load");
  const [command = "", ...args] = world.onHost(
    [...program, load, netstack, JSON.stringify(options)],
  );
  const host = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const journal: JournalLine[] = [];
  const notices: string[] = [];
  const denials: string[] = [];
  let terminated: string | undefined;
  const end = (why: string) => terminated = why;
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const ask = <T>(what: HostCommand): Promise<T> => {
    const id = waiting.size;
    const settled = Promise.withResolvers<unknown>();
    waiting.set(id, settled);
    host.stdin?.write(`${JSON.stringify({ id, ...what })}\n`);
    return settled.promise as Promise<T>;
  };
  const started = await readLines(host, journal, notices, denials, end, waiting);
  const authority = join(world.scratch, `authority-${started.decider}.pem`);
  writeFileSync(authority, started.authority);
  // The guest's namespace belongs to the host's user namespace; sysctls and mounts stay the host's.
  const inside = (argv: readonly string[]) =>
    world.onHostAsRoot(["nsenter", "--target", String(started.guest), "--net", "--", ...argv]);
  return {
    netstackPid: started.netstack,
    deciderPid: started.decider,
    apply: (policy, { dryRun = false } = {}) => ask<PolicyChange>({ apply: policy, dryRun }),
    publish: (publication) => ask<readonly PublishedPort[]>({ publish: publication }),
    unpublish: (port) => ask<number>({ unpublish: port }),
    counts: () => ask<NetworkCounts>({ counts: true }),
    inside,
    published: started.published,
    loadPath: load,
    authority,
    placeholders: started.placeholders,
    deciderMemory: (which = "now") => residentMiB(started.decider, which),
    deciderTime: () => timeOf(started.decider),
    journal,
    notices,
    denials,
    get terminated() {
      return terminated;
    },
    run: (argv, opts) => run(inside(argv), opts),
    start: (argv, opts) => start(inside(argv), opts),
    async load<T>(what: string, flags: Readonly<Record<string, string | number>>): Promise<T> {
      const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
      const { status, stdout, stderr } = await run(inside([load, what, ...words]), { limit: 300 });
      if (status !== 0) throw new Error(`load ${what} ${words.join(" ")}: ${stderr}`);
      return JSON.parse(stdout) as T;
    },
    netstackMemory: (which = "now") => residentMiB(started.netstack, which),
    async [Symbol.asyncDispose]() {
      host.stdin?.end();
      await new Promise<void>((resolve) =>
        host.exitCode === null ? host.once("close", () => resolve()) : resolve()
      );
    },
  };
}

/** proc(5): user and system time of the first thread, in ticks of ten milliseconds. */
function timeOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/task/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(") ") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

interface Started {
  readonly guest: number;
  readonly netstack: number;
  readonly decider: number;
  readonly authority: string;
  readonly placeholders: Readonly<Record<string, string>>;
  readonly published: readonly PublishedPort[];
}

function readLines(
  host: ChildProcess,
  journal: JournalLine[],
  notices: string[],
  denials: string[],
  end: (why: string) => void,
  waiting: ReadonlyMap<number, PromiseWithResolvers<unknown>>,
): Promise<Started> {
  const { promise, resolve, reject } = Promise.withResolvers<Started>();
  host.once("close", () => reject(new Error("the namespace guest did not start; see stderr")));
  if (host.stdout === null) throw new Error("the namespace guest has no stdout");
  createInterface({ input: host.stdout }).on("line", (line) => {
    const value = JSON.parse(line) as
      & JournalLine
      & Started
      & { notice?: string; denial?: string; terminated?: string }
      & { answer?: number; result?: unknown; error?: object };
    if (value.guest !== undefined) resolve(value);
    else if (value.answer !== undefined) {
      const answered = waiting.get(value.answer);
      if (value.error === undefined) answered?.resolve(value.result);
      else answered?.reject(value.error);
    } else if (value.notice !== undefined) notices.push(value.notice);
    else if (value.denial !== undefined) denials.push(value.denial);
    else if (value.terminated !== undefined) end(value.terminated);
    else if (value.event !== undefined) journal.push(value);
    else process.stderr.write(`the namespace guest says: ${line}\n`);
  });
  return promise;
}

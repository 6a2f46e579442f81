/**
 * Many small commands in one guest: booting takes seconds under emulation, so a test file boots once and
 * asserts on what all of them said.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Run, RunOptions } from "./process.ts";
import { ROOT, type World } from "./world.ts";

export interface Probe {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Batch<Name extends string> {
  readonly probes: Readonly<Record<Name, Probe>>;
  /** The run around them; its stdout is the probes' protocol. */
  readonly run: Run;
}

/** Runs shell commands one after the other in a guest started with `args` of `sbx run`. */
export async function inGuest<Name extends string>(
  world: World,
  args: readonly string[],
  commands: Readonly<Record<Name, string>>,
  options: RunOptions = {},
): Promise<Batch<Name>> {
  const names = Object.keys(commands) as Name[];
  const script = names.map((name) => probeScript(name, commands[name])).join("\n");
  const run = await world.sbx(["run", ...args, "--", "sh", "-c", script], {
    limit: 240,
    ...options,
  });
  const probes = {} as Record<Name, Probe>;
  for (const line of run.stdout.split("\n")) {
    const [mark, name, status, out = "", err = ""] = line.split(" ");
    if (mark !== "probe") continue;
    probes[name as Name] = { status: Number(status), stdout: decode(out), stderr: decode(err) };
  }
  const missing = names.filter((name) => !(name in probes));
  if (missing.length > 0) {
    throw new Error(`no answer of ${missing.join(", ")}; status ${run.status}: ${run.stderr}`);
  }
  return { probes, run };
}

/** One line of the protocol: `probe NAME STATUS STDOUT STDERR`, the streams in base64. */
function probeScript(name: string, command: string): string {
  const quoted = `'${command.replaceAll("'", `'\\''`)}'`;
  return `sh -c ${quoted} >/tmp/out 2>/tmp/err </dev/null; status=$?
echo "probe ${name} $status $(base64 -w0 /tmp/out) $(base64 -w0 /tmp/err)"`;
}

function decode(base64: string): string {
  return Buffer.from(base64, "base64").toString("utf8");
}

export type Outcome =
  | "open"
  | "refused"
  | "unreachable"
  | "silent"
  | (string & Record<never, never>);

/** A command that tries many destinations at once; `outcomes` reads what it prints. */
export function reach(targets: readonly string[], patience = 3): string {
  const script = readFileSync(join(ROOT, "test/support/reach.py"), "utf8").replaceAll("'", `'\\''`);
  return `python3 -c '${script}' ${patience} ${targets.join(" ")}`;
}

export function outcomes(probe: Probe): Readonly<Record<string, Outcome>> {
  if (probe.status !== 0) throw new Error(`the prober failed: ${probe.stderr}`);
  return JSON.parse(probe.stdout) as Record<string, Outcome>;
}

/** The host part of a target as it is written with a port. */
export function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

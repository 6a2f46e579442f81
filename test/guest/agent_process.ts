/**
 * The real agent as a process of this machine, without the parts of a first process.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Duplex } from "node:stream";
import { Agent } from "../../lib/guest/agent/client.ts";
import type { ExecSpec, GuestProcess } from "../../lib/guest/guest.ts";

const SOURCE = new URL("../../vendor/agent", import.meta.url).pathname;

export interface StartedAgent {
  readonly agent: Agent;
  readonly child: ChildProcess;
  readonly port: Duplex;
}

/** Agents to talk to; `close` ends them all. */
export class Agents {
  /** Commands start here, and it is theirs to write to. */
  readonly home = mkdtempSync(join(tmpdir(), "sbx-agent-"));
  readonly #children: ChildProcess[] = [];

  constructor() {
    execFileSync("go", ["build", "-o", join(this.home, "agent"), "."], {
      cwd: SOURCE,
      env: { ...process.env, CGO_ENABLED: "0" },
    });
  }

  start(): StartedAgent {
    return this.#spawn([join(this.home, "agent"), "--serve-fd", "3"]);
  }

  /** In a mount namespace of its own, as root there, after the shell command ran. */
  startIn(script: string): StartedAgent {
    const serve = `${script} && exec "$0" --serve-fd 3`;
    const namespaces = process.getuid?.() === 0
      ? ["--mount"]
      : ["--user", "--map-root-user", "--mount"];
    return this.#spawn(["unshare", ...namespaces, "sh", "-c", serve, join(this.home, "agent")]);
  }

  #spawn([program = "", ...args]: readonly string[]): StartedAgent {
    const child = spawn(program, args, {
      stdio: ["ignore", "ignore", "pipe", "pipe"],
      env: {
        HOME: this.home,
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        SHELL: "/bin/sh",
        LANG: "C.UTF-8",
      },
    });
    this.#children.push(child);
    const port = child.stdio[3] as unknown as Duplex;
    return { agent: new Agent(port), child, port };
  }

  close(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** A command by a shell, with defaults for all that a test does not care about. */
export function shell(script: string, rest: Partial<ExecSpec> = {}): ExecSpec {
  return { argv: ["/bin/sh", "-c", script], env: {}, stdin: false, ...rest };
}

export async function text(stream: ReadableStream<Uint8Array>): Promise<string> {
  return new TextDecoder().decode(await bytes(stream));
}

export async function bytes(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Everything that a command says, and how it ends. */
export async function outcome(command: GuestProcess) {
  const [stdout, stderr, exit] = await Promise.all([
    text(command.stdout),
    text(command.stderr),
    command.exit,
  ]);
  return { stdout, stderr, ...exit };
}

/** Writes all of it and ends the command's input. */
export async function feed(command: GuestProcess, input: string | Uint8Array): Promise<void> {
  const writer = command.stdin.getWriter();
  await writer.write(typeof input === "string" ? new TextEncoder().encode(input) : input);
  await writer.close();
}

/**
 * A port to sbx's agent in a guest of Lima's: the standard streams of the agent's program, which runs there
 * over Lima's own SSH. The program is brought along where it is not there yet.
 *
 * ```
 * knocking ── no SSH yet ──► knocking, until it takes too long ─────────► failed
 *    ├── "missing" ──► bringing the program ──► knocking
 *    └── its word ───► open ── either end ──► closed
 * ```
 *
 * The guest's is the program, and whatever it says, a stranger's word.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { homedir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { CHILD_ENV } from "../../base/child_env.ts";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import { limaHostname, type LimaInstance } from "../../guest/lima/instance.ts";
import { Tail } from "../socket_channel.ts";

const KNOCK_MS = 500;

/** Login shells may say something; one that says more than this says nothing else. */
const MOST_GREETING = 8 * 1024;

export interface AgentPortSpec {
  readonly instance: Pick<LimaInstance, "dir" | "name">;
  /** The agent's program, for the guest's architecture. */
  readonly program: Uint8Array;
  /** How long the guest's SSH server may take to let anybody in. */
  readonly patienceMs: number;
  /** Called when the agent answers. */
  readonly onOpen?: () => void;
}

/** What is written waits until it is open. A failure comes as the stream's error, an SbxError. */
export function openAgentPort(spec: AgentPortSpec): Duplex {
  return new AgentPort(spec);
}

type Knock = "open" | "missing" | "nobody";

class AgentPort extends Duplex {
  readonly #spec: AgentPortSpec;
  readonly #opened = Promise.withResolvers<ChildProcess>();
  readonly #said = new Tail(512);
  #ssh: ChildProcess | undefined;

  constructor(spec: AgentPortSpec) {
    super({ allowHalfOpen: false });
    this.#spec = spec;
    this.#opened.promise.catch(() => {});
    void this.#open().catch((error) => this.destroy(error));
  }

  override _read(): void {
    this.#ssh?.stdout?.resume();
  }

  override _write(
    bytes: Uint8Array,
    _encoding: unknown,
    done: (error?: Error | null) => void,
  ): void {
    this.#opened.promise.then(({ stdin }) => stdin?.write(bytes, done), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#opened.reject(error ?? new Error("closed"));
    this.#ssh?.kill("SIGKILL");
    done(error);
  }

  async #open(): Promise<void> {
    const { program, patienceMs } = this.#spec;
    const name = `agent-${createHash("sha256").update(program).digest("hex")}`;
    // A guest may also let somebody in and say nothing, or have lost each time what it was brought.
    const late = setTimeout(() => this.destroy(this.#nobody()), patienceMs);
    try {
      for (let isBrought = false; !this.destroyed;) {
        const knock = await this.#knock(name);
        if (knock === "open" || this.destroyed) return;
        if (knock === "missing" && !isBrought) {
          isBrought = await this.#bring(name);
          if (isBrought) continue;
        }
        await delay(KNOCK_MS, undefined, { ref: false });
      }
    } finally {
      clearTimeout(late);
    }
  }

  /** Runs the agent where it is there. */
  async #knock(name: string): Promise<Knock> {
    const word = `sbx-${randomBytes(12).toString("hex")}`;
    const ssh = this.#run(START(name, word), ["pipe", "pipe", "pipe"]);
    const { promise, resolve } = Promise.withResolvers<Knock>();
    let greeting = Buffer.alloc(0);
    const listen = (bytes: Uint8Array) => {
      greeting = Buffer.concat([greeting, bytes]);
      for (const [knock, line] of [["open", word], ["missing", `${word} missing`]] as const) {
        const at = greeting.indexOf(`${line}\n`);
        if (at < 0) continue;
        ssh.stdout?.off("data", listen);
        if (knock === "open") this.#begin(ssh, greeting.subarray(at + line.length + 1));
        return resolve(knock);
      }
      if (greeting.length > MOST_GREETING) ssh.kill("SIGKILL");
    };
    ssh.stdout?.on("data", listen);
    ssh.once("close", () => resolve("nobody"));
    return await promise;
  }

  #begin(ssh: ChildProcess, first: Uint8Array): void {
    ssh.stdin?.on("error", () => {}); // its end says so
    if (first.length > 0) this.push(first);
    ssh.stdout?.on("data", (bytes: Uint8Array) => {
      if (!this.push(bytes)) ssh.stdout?.pause();
    });
    ssh.once("close", () => this.destroy(this.#ended()));
    this.#opened.resolve(ssh);
    this.#spec.onOpen?.();
  }

  /** Whether the program is there now. */
  async #bring(name: string): Promise<boolean> {
    const { program } = this.#spec;
    const ssh = this.#run(BRING(name, program.length), ["pipe", "ignore", "pipe"]);
    ssh.stdin?.on("error", () => {}); // its status says so
    ssh.stdin?.end(program);
    return await new Promise((resolve) => ssh.once("close", (code) => resolve(code === 0)));
  }

  #run(script: string, stdio: StdioOptions): ChildProcess {
    const { instance: { dir, name } } = this.#spec;
    const argv = ["-F", join(dir, "ssh.config"), ...OPTIONS, limaHostname(name)];
    const ssh = spawn("ssh", [...argv, `exec sh -c '${script}'`], {
      stdio,
      env: { ...CHILD_ENV, HOME: homedir() },
      detached: true, // a terminal's Ctrl-C is none of its
    });
    ssh.once("error", (cause) => this.destroy(missing(cause)));
    ssh.stderr?.on("data", (bytes: Uint8Array) => this.#said.push(bytes));
    this.#ssh = ssh;
    return ssh;
  }

  #nobody(): SbxError {
    const { name } = this.#spec.instance;
    return new SbxError("GUEST_FAILED", `Cannot reach the guest by SSH${this.#words()}`, {
      hint: `try 'sbx lima shell ${name}', and see the guest's console with 'sbx logs ${name}'`,
    });
  }

  #ended(): SbxError {
    const state = `its SSH connection ended${this.#words()}`;
    return new SbxError("GUEST_FAILED", `Cannot reach the guest: ${state}`);
  }

  #words(): string {
    const last = this.#said.text.trim().split("\n").at(-1) ?? "";
    return last === "" ? "" : `: ${escapeText(last)}`;
  }
}

function missing(cause: Error): SbxError {
  return new SbxError("REQUIREMENT_MISSING", "Cannot run ssh: it does not start", {
    hint: "install the package openssh-client, which Lima needs as well",
    cause,
  });
}

/** Over what Lima wrote: a connection of its own that carries one program's streams and nothing else. */
const OPTIONS = [
  "BatchMode=yes",
  "ClearAllForwardings=yes",
  "ConnectTimeout=10",
  "ControlMaster=no",
  "ControlPath=none",
  "ForwardAgent=no",
  "ForwardX11=no",
  "LogLevel=ERROR",
  "PermitLocalCommand=no",
  "RequestTTY=no",
  "ServerAliveInterval=20",
].flatMap((option) => ["-o", option]);

/** Where the program is kept in the guest: in the home of whom Lima logs in as. */
const PLACE = '"$HOME/.cache/sbx"';

/** As root where one may become root unasked. */
const START = (name: string, word: string) =>
  `cd ${PLACE} 2>/dev/null && [ -x ${name} ] || { echo ${word} missing; exit; }; ` +
  `if [ "$(id -u)" != 0 ] && sudo -n true 2>/dev/null; then exec sudo -n -H -- "$PWD/${name}" --serve-stdio ${word}; fi; ` +
  `exec ./${name} --serve-stdio ${word}`;

/** What was cut off is not put in its place. */
const BRING = (name: string, bytes: number) =>
  `umask 077; mkdir -p ${PLACE} && cd ${PLACE} && cat >new-$$ && [ $(wc -c <new-$$) -eq ${bytes} ] && ` +
  `chmod 700 new-$$ && rm -f agent-* && mv new-$$ ${name}`;

/**
 * limactl, with sbx's driver beside its own.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";
import { z } from "zod";
import { SbxError } from "../../base/errors.ts";
import { quote } from "../../base/escape.ts";
import { systemCode } from "../../base/file_error.ts";
import { installLimaDriver } from "./driver.ts";

/** An instance in Lima's list, as far as it is shown. */
const LISTED = z.object({
  name: z.string(),
  status: z.string(),
  dir: z.string(),
  vmType: z.string(),
  sshLocalPort: z.number().default(0),
});

export type ListedInstance = Readonly<z.output<typeof LISTED>>;

export class Limactl {
  readonly #drivers: string;
  readonly #home: string | undefined;

  private constructor(drivers: string, home: string | undefined) {
    this.#drivers = drivers;
    this.#home = home;
  }

  /**
   * With the user's own home, or with another one.
   *
   * @throws SbxError FILE_UNREADABLE, LIMA_INSTANCE as {@link installLimaDriver}
   */
  static async open(home?: string): Promise<Limactl> {
    return new Limactl(await installLimaDriver(), home);
  }

  /**
   * Runs it with this process's streams; resolves to its exit status.
   *
   * @throws SbxError REQUIREMENT_MISSING
   */
  async run(...argv: readonly string[]): Promise<number> {
    return (await this.#spawn(argv, "inherit")).status;
  }

  /** The same, interrupted once `signal` is aborted. @throws SbxError REQUIREMENT_MISSING */
  async runUntil(signal: AbortSignal, argv: readonly string[]): Promise<number> {
    return (await this.#spawn(argv, "inherit", signal)).status;
  }

  /**
   * All instances, of whatever driver.
   *
   * @throws SbxError REQUIREMENT_MISSING, LIMA_INSTANCE when Lima has no list
   */
  async list(): Promise<readonly ListedInstance[]> {
    return await this.#list((line) => LISTED.parse(line));
  }

  /**
   * All that Lima has of one of them; undefined: it is gone.
   *
   * @throws SbxError as {@link list}
   */
  async whole(name: string): Promise<unknown> {
    const named = await this.#list((line) => ({ line, name: LISTED.parse(line).name }));
    return named.find((one) => one.name === name)?.line;
  }

  async #list<T>(parse: (line: unknown) => T): Promise<readonly T[]> {
    const { status, out } = await this.#spawn(["list", "--json"], ["ignore", "pipe", "inherit"]);
    try {
      if (status !== 0) throw new TypeError(`status ${status}`);
      const lines = out.split("\n").filter((line) => line.trim() !== "");
      return lines.map((line) => parse(JSON.parse(line)));
    } catch (cause) {
      throw new SbxError("LIMA_INSTANCE", "Cannot list Lima's instances: limactl failed", {
        hint:
          `see what '${this.#homeWords()}limactl list --json' says; sbx needs Lima 2.2 or newer`,
        cause,
      });
    }
  }

  /** For a shell. */
  #homeWords(): string {
    return this.#home === undefined ? "" : `LIMA_HOME=${quote(this.#home)} `;
  }

  #spawn(
    argv: readonly string[],
    stdio: StdioOptions,
    signal?: AbortSignal,
  ): Promise<{ readonly status: number; readonly out: string }> {
    const others = process.env["LIMA_DRIVERS_PATH"] ?? "";
    const path = [this.#drivers, ...(others === "" ? [] : [others])].join(":");
    const env = {
      ...process.env,
      LIMA_DRIVERS_PATH: path,
      ...(this.#home === undefined ? {} : { LIMA_HOME: this.#home }),
    };
    const child = spawn("limactl", argv, { stdio, env });
    signal?.addEventListener("abort", () => child.kill("SIGINT"), { once: true });
    const release = passedOn(child);
    const chunks: Uint8Array[] = [];
    child.stdout?.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    const ended = new Promise<{ readonly status: number; readonly out: string }>(
      (resolve, reject) => {
        child.once("error", (cause) => reject(unusable(cause)));
        child.once("close", (code, signal) =>
          resolve({
            status: signal === null ? code ?? 1 : 128 + constants.signals[signal],
            out: Buffer.concat(chunks).toString("utf8"),
          }));
      },
    );
    return ended.finally(release);
  }
}

/** What ends this process: from elsewhere than a terminal it would end this process alone, and limactl go on. */
const ENDS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Has the child end with this process, which waits for it. Called back, this process ends alone again. */
function passedOn(child: ChildProcess): () => void {
  const pass = (signal: NodeJS.Signals) => void child.kill(signal);
  for (const signal of ENDS) process.on(signal, pass);
  return () => {
    for (const signal of ENDS) process.off(signal, pass);
  };
}

function unusable(cause: unknown): SbxError {
  const state = systemCode(cause) === "ENOENT" ? "it is not installed" : "it does not start";
  return new SbxError("REQUIREMENT_MISSING", `Cannot run limactl: ${state}`, {
    hint: "install Lima 2.2 or newer, and put limactl on the PATH",
    cause,
  });
}

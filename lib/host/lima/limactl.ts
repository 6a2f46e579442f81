/**
 * limactl, with sbx's driver beside its own.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { spawn, type StdioOptions } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";
import { z } from "zod";
import { SbxError } from "../../base/errors.ts";
import { systemCode } from "../../base/file_error.ts";
import { installLimaDriver } from "./driver.ts";

/** An instance in Lima's list. */
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

  private constructor(drivers: string) {
    this.#drivers = drivers;
  }

  /** @throws SbxError FILE_UNREADABLE, LIMA_INSTANCE as {@link installLimaDriver} */
  static async open(): Promise<Limactl> {
    return new Limactl(await installLimaDriver());
  }

  /**
   * Runs it with this process's streams; resolves to its exit status.
   *
   * @throws SbxError REQUIREMENT_MISSING
   */
  async run(...argv: readonly string[]): Promise<number> {
    return (await this.#spawn(argv, "inherit")).status;
  }

  /**
   * All instances, of whatever driver.
   *
   * @throws SbxError REQUIREMENT_MISSING, LIMA_INSTANCE when Lima has no list
   */
  async list(): Promise<readonly ListedInstance[]> {
    const { status, out } = await this.#spawn(["list", "--json"], ["ignore", "pipe", "inherit"]);
    try {
      if (status !== 0) throw new TypeError(`status ${status}`);
      const lines = out.split("\n").filter((line) => line.trim() !== "");
      return lines.map((line) => LISTED.parse(JSON.parse(line)));
    } catch (cause) {
      throw new SbxError("LIMA_INSTANCE", "Cannot list Lima's instances: limactl failed", {
        hint: "see what `limactl list --json` says; sbx needs Lima 2.2 or newer",
        cause,
      });
    }
  }

  #spawn(
    argv: readonly string[],
    stdio: StdioOptions,
  ): Promise<{ readonly status: number; readonly out: string }> {
    const others = process.env["LIMA_DRIVERS_PATH"] ?? "";
    const path = [this.#drivers, ...(others === "" ? [] : [others])].join(":");
    const env = { ...process.env, LIMA_DRIVERS_PATH: path };
    const child = spawn("limactl", argv, { stdio, env });
    const chunks: Uint8Array[] = [];
    child.stdout?.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    return new Promise((resolve, reject) => {
      child.once("error", (cause) => reject(unusable(cause)));
      child.once("close", (code, signal) =>
        resolve({
          status: signal === null ? code ?? 1 : 128 + constants.signals[signal],
          out: Buffer.concat(chunks).toString("utf8"),
        }));
    });
  }
}

function unusable(cause: unknown): SbxError {
  const state = systemCode(cause) === "ENOENT" ? "it is not installed" : "it does not start";
  return new SbxError("REQUIREMENT_MISSING", `Cannot run limactl: ${state}`, {
    hint: "install Lima 2.2 or newer, and put limactl on the PATH",
    cause,
  });
}

/**
 * The binary that is installed beside the library: npm has one package for each platform, of which it
 * installs the one that fits. The library carries no files; it asks the binary for those that it unpacked.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import process from "node:process";
import { promisify } from "node:util";
import { SbxError } from "../base/errors.ts";

/** The scope of the packages; scripts/packages makes them. */
export const NPM_SCOPE = "@sbx-dev";

/** lib/cli/unpack.ts, whose answer {@link unpackedBy} reads. */
const UNPACK = "__unpack";

/** The notices are the longest answer. */
const MAX_ANSWER = 4 << 20;

export const ASSET_NAMES = [
  "netstack",
  "lima-driver",
  "sshd",
  "vmlinux",
  "initramfs",
  "disk",
  "disk_modules",
] as const;

export type AssetName = typeof ASSET_NAMES[number];

/** What the binary goes by when it looks for its cache. */
const ENVIRONMENT = ["HOME", "XDG_CACHE_HOME", "PATH"] as const;

const run = promisify(execFile);

/** Its path; null where there is none, as in a checkout. */
export function installedBinary(): string | null {
  const file = `${NPM_SCOPE}/${process.platform}-${process.arch}/bin/sbx`;
  try {
    return createRequire(import.meta.url).resolve(file);
  } catch {
    return null;
  }
}

/** Path of a file that it carries, unpacked and compared with what was built into it. */
export async function unpackedBy(binary: string, name: AssetName): Promise<string> {
  return JSON.parse(await askBinary(binary, [UNPACK, name]));
}

/** @throws SbxError REQUIREMENT_MISSING when it does not answer */
export async function askBinary(binary: string, argv: readonly string[]): Promise<string> {
  const env = Object.fromEntries(ENVIRONMENT.map((name) => [name, process.env[name]]));
  try {
    const { stdout } = await run(binary, argv, { env, maxBuffer: MAX_ANSWER });
    return stdout;
  } catch (cause) {
    const said = (cause as { readonly stderr?: string }).stderr?.trim() || String(cause);
    throw new SbxError("REQUIREMENT_MISSING", `Cannot use ${binary}: ${said.split("\n")[0]}`, {
      cause,
      hint: "run it yourself to see what it says: sbx doctor",
    });
  }
}

/**
 * The SSH keys of one named sandbox: its own, by which a client knows that it speaks to no other, and its
 * client's. Both are made when they are first wanted, stay with it over its starts, and go with it.
 *
 * ```
 * sandboxes/NAME/ssh/host, host.pub       the sandbox's
 *                    client, client.pub   of whoever may log in
 *                    known_hosts          the sandbox's, as clients read it
 * ```
 *
 * @module
 */
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { SbxError } from "../base/errors.ts";
import { fileError, systemCode } from "../base/file_error.ts";
import { runBounded } from "../host/bounded_run.ts";
import { trustedPath } from "../host/trusted_path.ts";
import { type Home, isOwnDirectory } from "./home.ts";

/** A pair takes milliseconds; on a busy machine some seconds. */
const LIMIT_MS = 60_000;

/** Where keys are, and the two that a connection begins with. */
export interface SshKeys {
  /** The client's private key, a file that ssh reads. */
  readonly identityFile: string;
  readonly knownHostsFile: string;
  /** The sandbox's private key, as OpenSSH writes it. */
  readonly hostKey: string;
  /** The client's public key, a line as of authorized_keys. */
  readonly clientKey: string;
}

/** The name that ssh knows a sandbox by. */
export function sshHost(name: string): string {
  return `${name}.sbx`;
}

/** Reads them, and makes them before where there are none. @throws SbxError REQUIREMENT_MISSING, STATE_UNUSABLE, FILE_UNREADABLE */
export async function sshKeys(home: Home): Promise<SshKeys> {
  const { directory } = home;
  const place = join(directory, "ssh");
  await isOwnDirectory(directory);
  try {
    return await readKeys(place);
  } catch (cause) {
    if (systemCode(cause) !== "ENOENT") throw fileError("read the SSH keys in", place, cause);
  }
  await makeKeys(home, place);
  return await readKeys(place).catch((cause) => {
    throw fileError("read the SSH keys in", place, cause);
  });
}

async function readKeys(place: string): Promise<SshKeys> {
  const [hostKey, clientKey] = await Promise.all([
    readFile(join(place, "host"), "utf8"),
    readFile(join(place, "client.pub"), "utf8"),
  ]);
  const knownHostsFile = join(place, "known_hosts");
  return { identityFile: join(place, "client"), knownHostsFile, hostKey, clientKey };
}

/** They appear together, by one rename; of two who make them, the first has. */
async function makeKeys({ name, directory }: Home, place: string): Promise<void> {
  const fresh = await mkdtemp(join(directory, ".ssh-")).catch((cause) => {
    throw fileError("make SSH keys in", directory, cause);
  });
  try {
    for (const key of ["host", "client"]) await generate(join(fresh, key), sshHost(name));
    const [type, key] = (await readFile(join(fresh, "host.pub"), "utf8")).split(" ");
    await writeFile(join(fresh, "known_hosts"), `${sshHost(name)} ${type} ${key}\n`, {
      mode: 0o600,
    });
    await rename(fresh, place);
  } catch (cause) {
    if (["EEXIST", "ENOTEMPTY"].includes(systemCode(cause) ?? "")) return;
    throw cause instanceof SbxError ? cause : fileError("make SSH keys in", directory, cause);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** By the tool that comes with ssh, which reads what it wrote. */
async function generate(file: string, comment: string): Promise<void> {
  const end = await runBounded({
    argv: ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", file],
    env: { PATH: trustedPath(process.env["PATH"] ?? "", []), HOME: process.env["HOME"] },
    limitMs: LIMIT_MS,
  });
  if (end.kind === "exited" && end.status === 0) return;
  const isMissing = end.kind === "unstarted" || end.kind === "exited" && end.status === 127;
  if (isMissing) {
    throw new SbxError("REQUIREMENT_MISSING", "Cannot make SSH keys: there is no ssh-keygen", {
      hint: "install OpenSSH's client (Debian: apt-get install openssh-client)",
    });
  }
  const said = "said" in end ? end.said.trim() : "";
  const state = said === "" ? `ssh-keygen ended (${end.kind})` : said.slice(0, 300);
  throw new SbxError("FILE_UNREADABLE", `Cannot make SSH keys: ${state}`);
}

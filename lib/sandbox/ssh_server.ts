/**
 * An SSH server for one connection, in a guest: a command there, whose input and output are the connection.
 * The program is copied to the guest when it is first wanted, so guests that nobody logs in to boot
 * without it.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { ExecOptions } from "./exec_options.ts";
import type { SandboxFiles } from "./files.ts";
import type { SandboxProcess } from "./process.ts";

/** In a file system that each start of a guest makes anew. */
const DIRECTORY = "/run/sbx";

export interface SshServerSpec {
  /** The program for guests, a file of this machine. */
  readonly program: string;
  /** The server's private key. */
  readonly hostKey: string;
  /** Who may log in. */
  readonly clientKey: string;
  /** Of the guest. Absent: whom commands run as. */
  readonly user?: string;
  /** Ends it, or its start. */
  readonly signal?: AbortSignal;
}

/** A guest, with files that are root's. */
export interface SshGuest {
  readonly fs: Pick<SandboxFiles, "exists" | "mkdir" | "write">;
  exec(command: string, args: readonly string[], options: ExecOptions): SandboxProcess;
}

/** Its streams speak SSH from the first byte on. @throws SbxError as calls about files, and `exec` */
export async function startSshServer(
  { fs, exec }: SshGuest,
  { program, hostKey, clientKey, ...options }: SshServerSpec,
): Promise<SandboxProcess> {
  const { signal } = options;
  const abortable = signal === undefined ? {} : { signal };
  const file = await readFile(program, abortable);
  const path = `${DIRECTORY}/sshd-${createHash("sha256").update(file).digest("hex").slice(0, 16)}`;
  if (!await fs.exists(path, abortable)) {
    await fs.mkdir(DIRECTORY, { recursive: true, mode: 0o755, ...abortable });
    await fs.write(path, file, { mode: 0o755, ...abortable });
  }
  const child = exec(path, [], options);
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(`${JSON.stringify({ hostKey, clientKey })}\n`))
    .catch(() => {}); // why it reads nothing, its exit says
  writer.releaseLock();
  return child;
}

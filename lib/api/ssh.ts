/**
 * Runs this machine's ssh. No part of the library's public face: programs have `NamedSandbox.ssh`.
 *
 * @module
 */
import { runAttached } from "../host/attached_run.ts";
import { trustedProgram } from "../host/trusted_path.ts";
import { SbxError } from "../base/errors.ts";
import type { SshConfig } from "./ssh_config.ts";

/**
 * With this process's streams and signals; resolves to its exit status. `given` are options of ssh, which
 * come first: of two that say different things, ssh takes the first.
 *
 * @throws SbxError REQUIREMENT_MISSING
 */
export async function runSsh(
  { host, user, options }: SshConfig,
  given: readonly string[],
  words: readonly string[],
): Promise<number> {
  const program = trustedProgram("ssh", []);
  if (program === null) {
    throw new SbxError("REQUIREMENT_MISSING", "Cannot log in: there is no ssh on the PATH", {
      hint: "install OpenSSH's client (Debian: apt-get install openssh-client)",
    });
  }
  const own = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  return await runAttached([program, ...given, ...own, "-l", user, "--", host, ...words]);
}

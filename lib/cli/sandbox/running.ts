/**
 * What asks more than one question of a sandbox begins with whether it runs.
 *
 * @module
 */
import { type NamedSandbox, SbxError } from "../../mod.ts";

/** `doing` completes "Cannot … sandbox dev: it is not running". @throws SbxError STOPPED */
export async function requireRunning(
  sandbox: Pick<NamedSandbox, "name" | "status">,
  doing: string,
): Promise<void> {
  if (await sandbox.status() === "running") return;
  const { name } = sandbox;
  throw new SbxError("STOPPED", `Cannot ${doing} sandbox ${name}: it is not running`, {
    hint: `start it with 'sbx start ${name}'`,
  });
}

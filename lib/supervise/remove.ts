/**
 * Forgets a named sandbox.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { killSandbox } from "./kill.ts";
import { busy, forgetSandbox, keptSandbox, lockSandbox, sweepSandboxes } from "./registry.ts";

/**
 * Removes its record and all that is kept of it; what is damaged, too.
 *
 * @throws SbxError SANDBOX_MISSING, STATE_UNUSABLE; SANDBOX_RUNNING unless `force` kills it before
 */
export async function removeSandbox(name: string, { force = false }): Promise<void> {
  const { home } = await keptSandbox(name);
  if (force) await killSandbox(name);
  const lock = await lockSandbox(home).catch((error) => {
    // Its end was its removal.
    if (force && error instanceof SbxError && error.code === "SANDBOX_MISSING") return undefined;
    throw error;
  });
  if (lock === undefined) return;
  if (lock === null) {
    throw busy("remove", home, `stop it first, or use 'sbx rm --force ${name}'`);
  }
  try {
    await forgetSandbox(home);
  } finally {
    lock.release();
  }
  await sweepSandboxes();
}

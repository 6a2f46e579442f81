/**
 * Forgets a named sandbox.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { SbxError } from "../base/errors.ts";
import { killSandbox } from "./kill.ts";
import {
  busy,
  forgetSandbox,
  type KeptSandbox,
  keptSandbox,
  lockSandbox,
  sweepSandboxes,
} from "./registry.ts";

/**
 * Removes its record and all that is kept of it; what is damaged, too.
 *
 * @throws SbxError SANDBOX_MISSING, STATE_UNUSABLE; LIMA_INSTANCE for one whose instance is Lima's to remove; SANDBOX_RUNNING unless `force` kills it before
 */
export async function removeSandbox(name: string, { force = false }): Promise<void> {
  const { home, record } = await keptSandbox(name);
  refuseLimas(name, record);
  if (force) await killSandbox(name, true);
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

/** Its disk is Lima's, and would be left where nobody looks for it. */
function refuseLimas(name: string, record: KeptSandbox["record"]): void {
  if (record instanceof SbxError || record.lima === undefined) return;
  if (!existsSync(record.lima.directory)) return;
  throw new SbxError("LIMA_INSTANCE", `Cannot remove ${name}: it is a guest of Lima's`, {
    hint: `remove it with its disk: sbx lima rm ${name}`,
  });
}

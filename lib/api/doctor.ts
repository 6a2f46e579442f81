/**
 * What sbx needs on this machine, and what it found of it: `sbx doctor` as a value.
 *
 * @module
 */
import { flag, optionsOf } from "../base/misuse.ts";
import type { CheckResult } from "../guest/provider.ts";
import type { Finding } from "./doctor_checks.ts";

export type { CheckResult, Finding };

/** How thoroughly to look. */
export interface DoctorOptions {
  /** Whether a guest is started and ended again, once nothing else is missing; true when absent. */
  readonly boot?: boolean;
}

/**
 * Looks for everything that a sandbox needs, and in the end starts one, so that whatever would keep a
 * run from starting is found here. Each check answers on its own: one missing thing does not hide the
 * next. Unpacks what this program carries, as a start would.
 *
 * @throws SbxError `USAGE`, and nothing else
 */
export async function doctor(options: DoctorOptions = {}): Promise<readonly Finding[]> {
  const { boot = true } = optionsOf("doctor(…)", options, { boot: true });
  flag("doctor(boot)", boot);
  const { bootCheck, runChecks } = await import("./doctor_checks.ts");
  const findings = await runChecks();
  const isSound = findings.every(({ state }) => state !== "missing");
  return boot && isSound ? [...findings, await bootCheck()] : findings;
}

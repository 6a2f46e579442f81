/**
 * What sbx needs on this machine, and what it found of it: `sbx doctor` as a value.
 *
 * @module
 */
import { inSentence, SbxError } from "../base/errors.ts";
import { flag, optionsOf } from "../base/misuse.ts";
import type { CheckResult } from "../guest/provider.ts";
import { askBinary } from "../host/ask_binary.ts";
import { isSbxItself } from "../host/own_program.ts";
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
  if (!isSbxItself()) return await ofBinary(boot);
  const { bootCheck, runChecks } = await import("./doctor_checks.ts");
  const findings = await runChecks();
  const isSound = findings.every(({ state }) => state !== "missing");
  return boot && isSound ? [...findings, await bootCheck()] : findings;
}

/** The binary knows what it needs; that there is none is what is found first. */
async function ofBinary(boot: boolean): Promise<readonly Finding[]> {
  try {
    return await askBinary("doctor", [{ boot }]) as Finding[];
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    const fix = error.hint ?? "install the library once more, with its optional dependencies";
    return [{ name: "binary", state: "missing", found: inSentence(error), fix }];
  }
}

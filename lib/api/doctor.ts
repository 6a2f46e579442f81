/**
 * What sbx needs on this machine, and what it found of it: `sbx doctor` as a value.
 *
 * @module
 */
import { inSentence, SbxError } from "../base/errors.ts";
import { flag, optionsOf } from "../base/misuse.ts";
import { untilAborted } from "../base/until.ts";
import type { CheckResult } from "../guest/provider.ts";
import { askBinary } from "../host/ask_binary.ts";
import { isSbxItself } from "../host/own_program.ts";
import type { Abortable } from "./abortable.ts";
import type { Finding } from "./doctor_checks.ts";

export type { CheckResult, Finding };

/** How thoroughly to look. */
export interface DoctorOptions extends Abortable {
  /** Whether a guest is started and ended again, once nothing else is missing; true when absent. */
  readonly boot?: boolean;
}

/**
 * Looks for everything that a sandbox needs, and in the end starts one, so that whatever would keep a
 * run from starting is found here. Each check answers on its own: one missing thing does not hide the
 * next. Unpacks what this program carries, as a start would.
 *
 * @throws SbxError `USAGE`, and the signal's reason, and nothing else
 */
export async function doctor(options: DoctorOptions = {}): Promise<readonly Finding[]> {
  const { boot = true, signal } = optionsOf("doctor(…)", options, { boot: true, signal: true });
  flag("doctor(boot)", boot);
  signal?.throwIfAborted();
  if (!isSbxItself()) return await ofBinary(boot, signal);
  const { bootCheck, runChecks } = await import("./doctor_checks.ts");
  const findings = await untilAborted(runChecks(), signal);
  const isSound = findings.every(({ state }) => state !== "missing");
  if (!boot || !isSound) return findings;
  const guest = await bootCheck(signal);
  signal?.throwIfAborted();
  return [...findings, guest];
}

/** The binary knows what it needs; that there is none is what is found first. */
async function ofBinary(
  boot: boolean,
  signal: AbortSignal | undefined,
): Promise<readonly Finding[]> {
  try {
    return await askBinary("doctor", [{ boot }], signal) as Finding[];
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof SbxError)) throw error;
    const fix = error.hint ?? "install the library once more, with its optional dependencies";
    return [{ name: "binary", state: "missing", found: inSentence(error), fix }];
  }
}

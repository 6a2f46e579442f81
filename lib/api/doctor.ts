/**
 * What sbx needs on this machine, and what it found of it: `sbx doctor` as a value.
 *
 * @module
 */
import type { CheckResult } from "../guest/provider.ts";
import type { Finding } from "./doctor_checks.ts";

export type { CheckResult, Finding };

/**
 * Looks for everything that a sandbox needs. Each check answers on its own, so that one missing thing
 * does not hide the next. Never rejects. Unpacks what this program carries, as a start would.
 */
export async function doctor(): Promise<readonly Finding[]> {
  const { runChecks } = await import("./doctor_checks.ts");
  return await runChecks();
}

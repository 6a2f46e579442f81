/**
 * What this program is made of, and whose work that is.
 *
 * @module
 */
import { untilAborted } from "../base/until.ts";
import { askBinary } from "../host/ask_binary.ts";
import { type BuildInfo, buildInfo } from "../host/build_info.ts";
import { isSbxItself } from "../host/own_program.ts";
import { type Abortable, signalOf } from "./abortable.ts";

export type { BuildInfo };

/** The versions of sbx, its runtime, its network stack and the guest's kernel, by component. */
export function versions(): BuildInfo {
  return buildInfo();
}

/**
 * The licences of all that this program carries, and where the source of the guest's kernel is.
 *
 * @throws SbxError `REQUIREMENT_MISSING` without a binary, or in a checkout that is not built; the signal's reason
 */
export async function licences(options: Abortable = {}): Promise<string> {
  const signal = signalOf("licences(…)", options);
  if (!isSbxItself()) return String(await askBinary("licences", [], signal));
  const { notices } = await import("../host/assets.ts");
  return await untilAborted(notices(), signal);
}

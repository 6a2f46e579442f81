/**
 * What this program is made of, and whose work that is.
 *
 * @module
 */
import { askBinary } from "../host/ask_binary.ts";
import { type BuildInfo, buildInfo } from "../host/build_info.ts";
import { isSbxItself } from "../host/own_program.ts";

export type { BuildInfo };

/** The versions of sbx, its runtime, its network stack and the guest's kernel, by component. */
export function versions(): BuildInfo {
  return buildInfo();
}

/**
 * The licences of all that this program carries, and where the source of the guest's kernel is.
 *
 * @throws SbxError `REQUIREMENT_MISSING` without a binary, or in a checkout that is not built
 */
export async function licences(): Promise<string> {
  if (!isSbxItself()) return String(await askBinary("licences", []));
  const { notices } = await import("../host/assets.ts");
  return await notices();
}

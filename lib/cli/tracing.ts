/**
 * SBX_TRACE: which changes of state are told on standard error, for whoever works on sbx.
 *
 * @module
 */
import { quote } from "../base/escape.ts";
import { SbxError } from "../base/errors.ts";
import { TRACE_PARTS, type TracePart, traceTo } from "../base/trace.ts";
import { ui } from "./ui.ts";

/**
 * Tells the changes of these parts from here on: names with commas between them, or `all`. Nothing
 * when absent or empty.
 *
 * @throws SbxError USAGE for a part that there is not
 */
export function traceAsked(wanted: string | undefined): void {
  const parts = (wanted ?? "").split(",").map((part) => part.trim()).filter((part) => part !== "");
  if (parts.length > 0) traceTo((line) => ui.asked(line), parts.flatMap(partsOf));
}

function partsOf(name: string): readonly TracePart[] {
  if (name === "all") return TRACE_PARTS;
  const part = TRACE_PARTS.find((part) => part === name);
  if (part !== undefined) return [part];
  throw new SbxError("USAGE", `Cannot trace ${quote(name)}: sbx has no such part`, {
    hint: `SBX_TRACE takes ${TRACE_PARTS.join(", ")} or all, with commas between them`,
  });
}

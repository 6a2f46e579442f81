/**
 * What ends a call: `{"ok": {…}}`, or `{"error": {"code", "message", "hint"}}`. Its text is the server's
 * and has no bounds of form; what leaves here has. Pure.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** The call did not do what it was for: a code of the protocol, and words of the server. */
export interface CallFailure {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

export type CallResult = { readonly ok: Fields } | { readonly failure: CallFailure };

/** `malformed`: the error for everything else. */
export function parseResult(payload: Uint8Array, malformed: () => SbxError): CallResult {
  const value = parseFields(payload);
  if (value === null) throw malformed();
  const { ok, error } = value;
  if (isFields(ok) && error === undefined) return { ok };
  if (ok !== undefined || !isFields(error)) throw malformed();
  const { code, message, hint } = error;
  if (typeof code !== "string" || typeof message !== "string") throw malformed();
  return {
    failure: {
      code,
      message: escapeText(message),
      ...(typeof hint === "string" ? { hint: escapeText(hint) } : {}),
    },
  };
}

/** The JSON object that these bytes are; null where they are none. */
export function parseFields(payload: Uint8Array): Fields | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
    return isFields(value) ? value : null;
  } catch {
    return null;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

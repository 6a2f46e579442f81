/**
 * The form of a user of the guest; whether there is one, the guest knows.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { quote } from "../base/escape.ts";

/** @throws SbxError USAGE */
export function requireUser(user: string, call: string): void {
  if (/^[^:\s\0]{1,64}(?::[^:\s\0]{1,64})?$/.test(user)) return;
  const [shown, state] = [`${call}(${quote(user)})`, "not a user, or USER:GROUP"];
  throw new SbxError("USAGE", `Cannot use ${shown}: ${state}`, { call: shown, state });
}

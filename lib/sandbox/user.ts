/**
 * The form of a user of the guest; whether there is one, the guest knows.
 *
 * @module
 */
import { quote } from "../base/escape.ts";
import { misuse, text } from "../base/misuse.ts";

/** @throws SbxError USAGE */
export function requireUser(user: string, call: string): void {
  if (/^[^:\s\0]{1,64}(?::[^:\s\0]{1,64})?$/.test(text(`${call}(…)`, user))) return;
  throw misuse(`${call}(${quote(user)})`, "not a user, or USER:GROUP");
}

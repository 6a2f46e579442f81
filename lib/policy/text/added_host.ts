/**
 * Names that the user gives an address for one sandbox: `NAME:ADDRESS`, as other tools take them.
 *
 * @module
 */
import { parseAddress } from "../../base/address.ts";
import { canonicalName } from "../../base/name.ts";
import { PolicyFault, quote } from "./fault.ts";

/** Stands for this machine, as the guest reaches it. */
export const HOST_GATEWAY = "host-gateway";

/** A name with an address of the user's own. */
export interface AddedHost {
  /** Canonical. */
  readonly name: string;
  /** Canonical, or {@link HOST_GATEWAY}. */
  readonly address: string;
}

/** Reads `NAME:ADDRESS`, `NAME=ADDRESS` or `NAME:[IPV6]`. */
export function readAddedHost(text: string): AddedHost {
  const end = text.search(/[:=]/);
  if (end < 0) {
    throw new PolicyFault(`${quote(text)} has no address`, "write it like db.test:10.0.0.5");
  }
  return addedHost(text.slice(0, end), text.slice(end + 1));
}

/** The same of its two parts. */
export function addedHost(nameText: string, addressText: string): AddedHost {
  const name = canonicalName(nameText);
  if (name === null) throw new PolicyFault(`${quote(nameText)} is no domain name`);
  if (name === "localhost" || name.endsWith(".localhost")) {
    throw new PolicyFault(`${quote(nameText)} is the guest itself`, "choose another name");
  }
  if (addressText === HOST_GATEWAY) return { name, address: HOST_GATEWAY };
  const bracketed = addressText.startsWith("[") && addressText.endsWith("]");
  const bare = bracketed ? addressText.slice(1, -1) : addressText;
  const address = bare.includes("%") ? null : parseAddress(bare);
  if (address === null || (bracketed && address.family === 4)) {
    throw new PolicyFault(
      `${quote(addressText)} is no address`,
      `write it like 10.0.0.5, [2001:db8::5] or ${HOST_GATEWAY}`,
    );
  }
  return { name, address: address.text };
}

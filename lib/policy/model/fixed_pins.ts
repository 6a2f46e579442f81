/**
 * Pins that are given rather than learnt, for hypothetical flows.
 *
 * @module
 */

import type { Pin, PinTable } from "./policy.ts";

/** A table of exactly these pins; names and addresses are canonical. */
export function fixedPins(pins: readonly Pin[]): PinTable {
  return {
    namesOf: (address) => pins.filter((pin) => pin.address === address).map((pin) => pin.name),
    has: (name, address) => pins.some((pin) => pin.name === name && pin.address === address),
  };
}

/**
 * The parts of a proof that a guest's only network is sbx. Pure.
 *
 * @module
 */
import { SbxError } from "../../base/errors.ts";

/** A socket that a process holds. */
export interface OpenSocket {
  readonly fd: number;
  readonly inode: string;
  /** The inode of its other end; absent where the kernel does not say. */
  readonly peer?: string | undefined;
}

/** One part of the proof. */
export interface Proven {
  /** What was looked at. */
  readonly name: string;
  /** What does not hold; empty: it is proven. */
  readonly faults: readonly string[];
  /** What was found where nothing is wrong. */
  readonly found: string;
}

/** What holds, and the words for it when it does not. */
export type Row = readonly [holds: boolean, otherwise: string];

export function part(name: string, rows: readonly Row[], found: string): Proven {
  const faults = rows.flatMap(([holds, otherwise]) => holds ? [] : [otherwise]);
  return { name, faults, found };
}

/**
 * The guest's word, which adds to what was seen from outside and takes the place of none of it. `inside`: the
 * addresses of its own network devices.
 */
export function proofInside(inside: readonly string[], mac: string): Proven {
  return part("inside", [
    [inside.length === 1, `the guest sees ${inside.length} network cards`],
    [inside.length !== 1 || inside[0] === mac, "the guest's card has another address"],
  ], `one card, ${mac}`);
}

/** @throws SbxError GUEST_START that says what does not hold */
export function requireProven(proof: readonly Proven[]): void {
  const unproven = proof.flatMap(({ faults }) => faults);
  if (unproven.length === 0) return;
  throw new SbxError(
    "GUEST_START",
    `Cannot let the guest run: ${unproven.join("; ")}`,
    { hint: "this is what a guest must never have: please report it with 'sbx version'" },
  );
}

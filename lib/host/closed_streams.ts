/**
 * Which standard streams this process was started without (`>&-`). The runtime fills their places before
 * any of our code runs, so that no file that is opened later gets their numbers; what a command prints
 * would then be lost without a word.
 *
 * @module
 */
import { ownSystem } from "./own_system.ts";

/** Numbers of the closed ones. */
export function closedStreams(): ReadonlySet<0 | 1 | 2> {
  const { processes } = ownSystem();
  return new Set(([0, 1, 2] as const).filter((fd) => processes.isFilledIn(fd)));
}

/**
 * What processes of this machine use of it.
 *
 * @module
 */
import { ownSystem } from "./own_system.ts";
import type { ProcessUsage } from "./system.ts";

export type { ProcessUsage };

/** Null: there is no such process, or no way to know. */
export function processUsage(pid: number): ProcessUsage | null {
  return ownSystem().processes.usageOf(pid);
}

/** Processes that one has started and that still are its children, theirs among them. */
export function descendantsOf(pid: number): readonly number[] {
  const { processes } = ownSystem();
  const found = new Set<number>();
  const visit = (parent: number) => {
    for (const child of processes.childrenOf(parent)) {
      if (found.has(child)) continue;
      found.add(child);
      visit(child);
    }
  };
  visit(pid);
  return [...found];
}

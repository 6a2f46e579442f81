/**
 * Which changes wait for which others. Pure.
 *
 * @module
 */
import { directoriesAbove } from "./above.ts";
import type { FoundChange } from "./compare.ts";

/** What is made, and what goes. */
interface Parts {
  readonly made: FoundChange[];
  readonly gone: FoundChange[];
}

/** One that takes the place of another kind, with all that changes below it. */
interface TypeChange {
  readonly change: FoundChange;
  readonly below: Parts;
}

/** Those come first that no directory goes for: what was in one may be in them now. */
export function byType(changes: readonly FoundChange[]): { types: TypeChange[]; others: Parts } {
  const types = new Map<string, TypeChange>();
  const others: Parts = { made: [], gone: [] };
  for (const change of changes) {
    const above = directoriesAbove(change.path)
      .map((at) => types.get(at))
      .find((one) => one !== undefined);
    if (change.kind === "type") {
      types.set(change.path, { change, below: { made: [], gone: [] } });
      continue;
    }
    const parts = above?.below ?? others;
    if (change.kind === "deleted") parts.gone.push(change);
    else parts.made.push(change);
  }
  const isDirectory = ({ change }: TypeChange) => change.before?.kind === "directory";
  return {
    types: [...types.values()].sort((a, b) => Number(isDirectory(a)) - Number(isDirectory(b))),
    others,
  };
}

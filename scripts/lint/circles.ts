/**
 * Circles among modules that import each other, imports of types and late ones included.
 *
 * @module
 */
import { dirname, join } from "node:path";

/** What stands behind `from` or in `import(…)`, when it is a file of ours. */
const SPECIFIER = /\b(?:from|import)\s*\(?\s*"(\.[^"]+)"/g;

/** Each group of modules that reach each other, by path, from the texts of all modules. */
export function circlesIn(modules: ReadonlyMap<string, string>): string[][] {
  const imports = new Map(
    [...modules].map(([path, text]) => {
      const all = [...text.matchAll(SPECIFIER)].map(([, to = ""]) => join(dirname(path), to));
      return [path, all.filter((to) => modules.has(to))] as const;
    }),
  );
  // What nobody imports, or what imports nothing, is in no circle; neither is what is left alone then.
  const left = new Set(modules.keys());
  for (let before = 0; before !== left.size;) {
    before = left.size;
    const imported = new Set([...left].flatMap((path) => imports.get(path) ?? []));
    for (const path of left) {
      const out = imports.get(path)?.some((to) => left.has(to));
      if (!out || !imported.has(path)) left.delete(path);
    }
  }
  const groups: string[][] = [];
  for (const path of left) {
    if (groups.some((group) => group.includes(path))) continue;
    const ahead = reached(path, imports);
    const group = [...ahead].filter((other) => reached(other, imports).has(path)).sort();
    if (group.length > 0) groups.push(group);
  }
  return groups;
}

/** Everything that a module imports, directly or not. */
function reached(path: string, imports: ReadonlyMap<string, readonly string[]>): Set<string> {
  const seen = new Set<string>();
  const open = [path];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const to of imports.get(at) ?? []) {
      if (seen.has(to)) continue;
      seen.add(to);
      open.push(to);
    }
  }
  return seen;
}

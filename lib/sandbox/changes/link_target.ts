/**
 * Where a symbolic link of a guest's leads, by its words alone. Pure.
 *
 * @module
 */

/**
 * Whether a link may lead out of the tree that it is in. ".." counts where it begins the target only: behind a name
 * it is above whatever that name leads to, which another link decides.
 */
export function leadsOut(path: string, target: string): boolean {
  if (target.startsWith("/")) return true;
  const steps = target.split("/").filter((step) => step !== "" && step !== ".");
  const climbs = steps.findIndex((step) => step !== "..");
  const up = climbs < 0 ? steps.length : climbs;
  const depth = path.split("/").length - 1;
  return up > depth || steps.slice(up).includes("..");
}

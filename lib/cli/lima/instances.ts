/**
 * Instances of Lima's that are guests of sbx.
 *
 * @module
 */
import type { Limactl, ListedInstance } from "../../api/lima.ts";
import { quote } from "../../base/escape.ts";
import { nearest } from "../../base/nearest.ts";
import { SbxError } from "../../mod.ts";

export const DRIVER = "sbx";

/** Lima's own rule, and no option by another name. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** @throws SbxError USAGE */
export function requireName(name: string): string {
  if (NAME.test(name)) return name;
  throw new SbxError("USAGE", `Cannot name a guest ${quote(name)}: not a name of Lima's`, {
    hint: "letters, digits, dots, hyphens and underscores",
  });
}

/** Undefined: there is none. @throws SbxError USAGE for one of another driver's */
export async function findInstance(
  limactl: Limactl,
  name: string,
): Promise<ListedInstance | undefined> {
  const found = (await limactl.list()).find((instance) => instance.name === requireName(name));
  if (found === undefined || found.vmType === DRIVER) return found;
  throw new SbxError(
    "USAGE",
    `Cannot use ${name}: Lima runs it with its driver ${found.vmType}, past sbx`,
    { hint: "make another with 'sbx lima start'; this one is limactl's" },
  );
}

/** @throws SbxError USAGE */
export async function requireInstance(limactl: Limactl, name: string): Promise<ListedInstance> {
  const found = await findInstance(limactl, name);
  if (found !== undefined) return found;
  const own = (await limactl.list()).filter(({ vmType }) => vmType === DRIVER);
  const near = nearest(name, own.map((instance) => instance.name));
  throw new SbxError("USAGE", `Cannot use ${quote(name)}: there is no such guest`, {
    hint: near === null ? "see `sbx lima ls`" : `did you mean ${near}?`,
  });
}

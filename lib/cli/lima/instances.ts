/**
 * Instances of Lima's that are guests of sbx.
 *
 * @module
 */
import { Limactl, type ListedInstance } from "../../api/lima.ts";
import { escapeText, quote } from "../../base/escape.ts";
import { nearest } from "../../base/nearest.ts";
import { SbxError } from "../../mod.ts";
import { OK } from "../exit.ts";

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

/**
 * Has Lima do something with a guest that is listed among the sandboxes.
 *
 * @throws SbxError LIMA_INSTANCE when Lima has another of the name, or did not do it
 */
export async function limaDoes(
  name: string,
  directory: string,
  words: readonly string[],
): Promise<void> {
  const limactl = await Limactl.open();
  const { dir } = await requireInstance(limactl, name);
  if (dir !== directory) {
    throw new SbxError("LIMA_INSTANCE", `Cannot use ${name}: Lima's instance is another one`, {
      hint: `set LIMA_HOME to the home of the one in ${escapeText(directory)}`,
    });
  }
  if (await limactl.run(...words, name) === OK) return;
  const verb = words[0] ?? "";
  throw new SbxError("LIMA_INSTANCE", `Cannot ${verb} ${name}: limactl failed, and says why`);
}

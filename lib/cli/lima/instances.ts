/**
 * Instances of Lima's that are guests of sbx.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import {
  forgetLima,
  Limactl,
  type ListedInstance,
  placeOf,
  removeUsernetHome,
  usernetHome,
  usernetHomeOf,
  usernetNames,
} from "../../api/lima.ts";
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

/** limactl with the home that a guest of the name has, or would have. @throws SbxError as `Limactl.open` */
export async function limactlOf(name: string): Promise<Limactl> {
  const home = usernetHome(requireName(name));
  return await Limactl.open(existsSync(home) ? home : undefined);
}

/** All guests that are sbx's, by whatever driver. @throws SbxError as `Limactl.list` */
export async function ownInstances(): Promise<readonly ListedInstance[]> {
  const homes = [undefined, ...usernetNames().map(usernetHome)];
  const lists = await Promise.all(homes.map(async (home) => (await Limactl.open(home)).list()));
  return lists.flat().filter(isOwn);
}

function isOwn({ vmType, dir }: ListedInstance): boolean {
  return vmType === DRIVER || usernetHomeOf(dir) !== undefined;
}

/** Undefined: there is none. @throws SbxError USAGE for one of another driver's */
export async function findInstance(
  limactl: Limactl,
  name: string,
): Promise<ListedInstance | undefined> {
  const found = (await limactl.list()).find((instance) => instance.name === requireName(name));
  if (found === undefined || isOwn(found)) return found;
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
  const near = nearest(name, (await ownInstances()).map((instance) => instance.name));
  throw new SbxError("USAGE", `Cannot use ${quote(name)}: there is no such guest`, {
    hint: near === null ? "see `sbx lima ls`" : `did you mean ${near}?`,
  });
}

/** Has Lima start it; resolves to the exit status. @throws SbxError LIMA_INSTANCE, and of the start itself */
export async function startInstance(limactl: Limactl, instance: ListedInstance): Promise<number> {
  const { name, dir } = instance;
  if (usernetHomeOf(dir) === undefined) return await limactl.run("start", "--tty=false", name);
  const { startOwn } = await import("./own_driver.ts");
  return await startOwn(limactl, instance);
}

/** Has Lima remove it; resolves to the exit status. */
export async function removeInstance(
  limactl: Limactl,
  { name, dir }: ListedInstance,
  force: boolean,
): Promise<number> {
  const removed = await limactl.run("delete", ...(force ? ["--force"] : []), name);
  const home = usernetHomeOf(dir);
  if (removed !== OK || home === undefined) return removed;
  // Lima's driver would have forgotten it. Its sbx may be on its way out.
  const end = performance.now() + LEAVE_MS;
  while (!await forgetLima(placeOf({ name, dir })) && performance.now() < end) await delay(100);
  removeUsernetHome(home);
  return removed;
}

/** A guest that was ended leaves nothing by then. */
const LEAVE_MS = 5_000;

/**
 * Has Lima start or remove a guest that is listed among the sandboxes.
 *
 * @throws SbxError LIMA_INSTANCE when Lima has another of the name, or did not do it
 */
export async function limaDoes(
  name: string,
  directory: string,
  verb: "start" | "delete",
  force = false,
): Promise<void> {
  const limactl = await Limactl.open(usernetHomeOf(directory));
  const instance = await requireInstance(limactl, name);
  if (instance.dir !== directory) {
    throw new SbxError("LIMA_INSTANCE", `Cannot use ${name}: Lima's instance is another one`, {
      hint: `set LIMA_HOME to the home of the one in ${escapeText(directory)}`,
    });
  }
  const status = verb === "start"
    ? await startInstance(limactl, instance)
    : await removeInstance(limactl, instance, force);
  if (status === OK) return;
  throw new SbxError("LIMA_INSTANCE", `Cannot ${verb} ${name}: limactl failed, and says why`);
}

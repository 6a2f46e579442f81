/**
 * Instances of Lima's that are guests of sbx.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  forgetLima,
  hasUsernetHome,
  instancesIn,
  Limactl,
  type ListedInstance,
  openUsernetHome,
  placeOf,
  usernetHome,
  usernetHomeOf,
  usernetNames,
} from "../../api/lima.ts";
import { escapeText, quote } from "../../base/escape.ts";
import { nearest } from "../../base/nearest.ts";
import { SbxError } from "../../mod.ts";
import { OK } from "../exit.ts";
import { DRIVER } from "./drivers.ts";
import { ui } from "../ui.ts";

/** Lima's own rule, and no option by another name. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** @throws SbxError USAGE */
export function requireName(name: string): string {
  if (NAME.test(name)) return name;
  throw new SbxError("USAGE", `Cannot name a guest ${quote(name)}: not a name of Lima's`, {
    hint: "letters, digits, dots, hyphens and underscores",
  });
}

/** limactl with the home that the guest of a name has. @throws SbxError as `Limactl.open` */
export async function limactlOf(name: string): Promise<Limactl> {
  const isThere = hasUsernetHome(requireName(name));
  return await Limactl.open(isThere ? usernetHome(name) : undefined);
}

/**
 * All guests that are sbx's, by whatever driver. A guest's home that Lima cannot list is told of, and hides no other.
 *
 * @throws SbxError as `Limactl.list`
 */
export async function ownInstances(): Promise<readonly ListedInstance[]> {
  const homes = [undefined, ...usernetNames().map(usernetHome)];
  const lists = await Promise.all(homes.map(async (home) => {
    try {
      return await (await Limactl.open(home)).list();
    } catch (error) {
      if (home === undefined || !(error instanceof SbxError)) throw error;
      ui.error(error);
      return [];
    }
  }));
  return lists.flat().filter(isOwn);
}

function isOwn(instance: ListedInstance): boolean {
  return instance.vmType === DRIVER || usernetHomeOf(instance) !== undefined;
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
    hint: near === null ? "see 'sbx lima ls'" : `did you mean ${near}?`,
  });
}

/**
 * Has Lima start it, with `waits` of limactl's options; resolves to the exit status.
 *
 * @throws SbxError LIMA_INSTANCE, and of the start itself
 */
export async function startInstance(
  limactl: Limactl,
  instance: ListedInstance,
  waits: readonly string[] = [],
): Promise<number> {
  const argv = ["start", "--tty=false", ...waits, instance.name];
  if (usernetHomeOf(instance) === undefined) return await limactl.run(...argv);
  const { startOwn } = await import("./own_driver.ts");
  return await startOwn(limactl, instance, argv);
}

/** Has Lima remove it; resolves to the exit status. @throws SbxError LIMA_INSTANCE, FILE_UNREADABLE */
export async function removeInstance(
  limactl: Limactl,
  instance: ListedInstance,
  force: boolean,
): Promise<number> {
  const { name, dir } = instance;
  const removed = await limactl.run("delete", ...(force ? ["--force"] : []), name);
  const home = usernetHomeOf(instance);
  // limactl may also fail of what it does after that, or remove nothing and call it done.
  if (home === undefined || existsSync(dir)) return removed;
  const others = instancesIn(home);
  if (others.length > 0) {
    const names = others.map(escapeText).join(", ");
    ui.notice(
      `Lima has others in the home of ${name}, which stays: ${names} in ${escapeText(home)}`,
    );
  } else await leftAlone(async () => (await openUsernetHome(home)).remove());
  await leftAlone(() => forgetLima(placeOf({ name, dir })));
  return OK;
}

/**
 * Removes the home of a guest that was never made in it, or is gone; false where there is none.
 *
 * @throws SbxError LIMA_INSTANCE while it is in use, FILE_UNREADABLE
 */
export async function removeLeftover(name: string): Promise<boolean> {
  const home = usernetHome(requireName(name));
  if (!existsSync(home) || existsSync(join(home, name))) return false;
  return (await openUsernetHome(home)).remove();
}

/** Its sbx may be on its way out: a guest that was ended leaves nothing by then. */
const LEAVE_MS = 5_000;

/** Does what can be done once the guest's sbx is gone: until it throws no more, and does not say false. */
async function leftAlone(work: () => Promise<boolean | void>): Promise<void> {
  const end = performance.now() + LEAVE_MS;
  for (;;) {
    const isLast = performance.now() > end;
    const done = await work().catch((error) => {
      if (isLast) throw error;
      return false;
    });
    if (done !== false || isLast) return;
    await delay(100);
  }
}

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
  const limactl = await Limactl.open(usernetHomeOf({ name, dir: directory }));
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

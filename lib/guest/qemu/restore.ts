/**
 * Goes on from a template instead of booting.
 *
 * ```
 * found ── QEMU maps the memory ── state loaded ── agent answers, counter measured ──► restored
 *    └──── refused, dead, silent, another counter ──► the guest boots; if it can, the template is discarded
 * ```
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { inSentence, SbxError } from "../../base/errors.ts";
import { systemCode } from "../../base/file_error.ts";
import type { RootEntries } from "../configuration.ts";
import type { Exit } from "../guest.ts";
import type { CommonPlan, GuestPlan } from "../plan.ts";
import type { BootWatcher, Cable } from "../provider.ts";
import { discard, findTemplate, noteFailure, type Template } from "../template/store.ts";
import { diskBusy } from "./disk_busy.ts";
import { filesNeeded } from "./files_needed.ts";
import { goesOn, saidLast, TOGETHER_MS } from "./going_on.ts";
import { QemuGuest } from "./guest.ts";
import type { QemuHost, QemuProcess } from "./launch.ts";
import { type MachineLaunch, restoredLaunchOf } from "./launch_of.ts";
import type { FoundMachine } from "./machine.ts";
import { addDevices, loadState } from "./migration.ts";
import { Monitor } from "./monitor.ts";
import type { OpenDisk } from "./open_disk.ts";
import { epoch, keyOf, ownersOf, templateDirectory } from "./template_machine.ts";
import type { TransportFinding } from "./transport.ts";
import { writeBackMs } from "./write_back.ts";

/** Somebody ended QEMU, as he could have later. */
class Killed extends SbxError {
  constructor(state = "QEMU ended (SIGKILL)") {
    super("GUEST_START", `Cannot start the guest: ${state}`);
  }
}

/** A disk that another guest has says nothing of the template. */
function isBusy(error: unknown): boolean {
  return error instanceof SbxError && error.code === "DISK_BUSY";
}

/** Its kernel would not tell how much time has passed. */
class OtherCounter extends SbxError {
  /** False: this time it could not be measured. */
  readonly isKnown: boolean;

  constructor(isKnown: boolean) {
    super("GUEST_START", "Cannot go on: its kernel counts by another processor's counter");
    this.isKnown = isKnown;
  }
}

/** A restore takes 50 ms; on a loaded machine, more. */
const RESTORE_LIMIT_MS = 20_000;

export interface Restored {
  /** Null: it has to boot. */
  readonly guest: QemuGuest | null;
  /** Discards a template that it could not go on from, for this; called once a guest has booted instead. */
  blame(fault?: unknown): Promise<void>;
}

/** What there is no template for is nobody's fault. */
const NONE: Restored = { guest: null, blame: () => Promise.resolve() };

export interface Restoring {
  readonly cable: Cable | undefined;
  readonly machine: FoundMachine;
  readonly by: TransportFinding;
  readonly disk: OpenDisk;
  readonly host: QemuHost;
  readonly watcher: BootWatcher;
}

/** `common` has what serves the plan, and `early` what its root has where that is in it. */
export async function restore(
  plan: GuestPlan,
  common: CommonPlan,
  early: RootEntries["early"],
  { cable, machine, by, disk, host, watcher }: Restoring,
): Promise<Restored> {
  await disk.ready(); // so that the template that is found is opened at once
  const template = await find(common, early, machine, host, watcher);
  if (template === null) return NONE;
  const { tscKHz, calls } = template.manifest;
  const { launch, ...saved } = restoredLaunchOf(
    plan,
    cable,
    { ...machine, tscKHz },
    by,
    host.caller(),
    filesNeeded,
    { path: template.memory, hasRoot: common.root !== undefined },
  );
  const ready = { ...launch, ...await disk.take() };
  let qemu: QemuProcess;
  try {
    qemu = host.spawn(ready);
  } catch {
    return NONE; // somebody removed the template; what else it may be, the boot says
  }
  watcher.running(qemu.pid);
  const guest = new QemuGuest(qemu, machine.found.accelerator, {
    writeBackMs: writeBackMs(plan),
    resumed: true,
    calls,
  });
  // Measuring takes 20 ms, in which QEMU can do much.
  const sameCounter = machine.counter.then((measured) => requireSame(measured, tscKHz));
  sameCounter.catch(() => {});
  const givenUp = watcher.ended?.then(() => null) ?? new Promise<never>(() => {});
  const blame = async (fault: unknown) => {
    if (fault instanceof OtherCounter) {
      if (!fault.isKnown) return;
    } else {
      await noteFailure(templateDirectory(host), template.key);
    }
    await dismiss(template.key, fault, host, watcher);
  };
  try {
    const outcome = await Promise.race([goOn(qemu, guest, template, saved, sameCounter), givenUp]);
    if (outcome !== null) return { guest, blame };
  } catch (error) {
    await guest.stop();
    // Of what dies together, QEMU may be heard of first; the template is not to blame for that.
    const alone = await Promise.race([delay(TOGETHER_MS, true, { ref: false }), givenUp]);
    if (error instanceof Killed || isBusy(error)) throw error;
    if (alone !== null) return { guest: null, blame: () => blame(error) };
  }
  await guest.stop();
  throw new SbxError("GUEST_START", "Cannot start the guest: it was given up");
}

async function find(
  common: CommonPlan,
  early: RootEntries["early"],
  machine: FoundMachine,
  host: QemuHost,
  watcher: BootWatcher,
): Promise<Template | null> {
  const key = await keyOf(common, early, machine, host);
  try {
    const directory = templateDirectory(host);
    const template = await findTemplate(directory, key, ownersOf(host.caller()), epoch(host));
    if (template === null) return null;
    await host.requireOwn(directory);
    return template;
  } catch (error) {
    // What this machine lacks at the moment says nothing of the template.
    if (!PASSING.includes(systemCode(error) ?? "")) await dismiss(key, error, host, watcher);
    return null;
  }
}

const PASSING: readonly string[] = ["EMFILE", "ENFILE", "ENOMEM", "EINTR", "EAGAIN"];

/** Two measurements of one counter differ by less than a thousandth. */
function requireSame(measured: number, told: number): void {
  if (Math.abs(measured - told) > Math.max(measured, told) / 1000) {
    throw new OtherCounter(measured > 0);
  }
}

async function goOn(
  qemu: QemuProcess,
  guest: QemuGuest,
  { state }: Template,
  { stateFd, devices }: Omit<MachineLaunch, "launch">,
  sameCounter: Promise<void>,
): Promise<QemuGuest> {
  const [socket, channel] = qemu.channels;
  if (socket === undefined || channel === undefined) {
    throw new TypeError("a machine without its channels");
  }
  channel.on("error", () => {}); // a QEMU that reads no more says why elsewhere
  channel.end(state);
  const monitor = new Monitor(socket);
  const added = () =>
    addDevices(monitor, devices).catch((error) => {
      throw diskBusy(error.message) ?? error;
    });
  const whole = loadState(monitor, stateFd).then(added);
  const restored = Promise.all([whole, guest.answers(), sameCounter]);
  const ended = ({ signal }: Exit) =>
    signal === "SIGKILL" ? new Killed(guest.unserved) : saidLast(qemu);
  try {
    await goesOn(qemu, RESTORE_LIMIT_MS, restored, ended);
    return guest;
  } finally {
    monitor.close(); // nobody is asked anything any more, and a guest may own QEMU later
  }
}

async function dismiss(
  key: string,
  error: unknown,
  host: QemuHost,
  watcher: BootWatcher,
): Promise<void> {
  await discard(templateDirectory(host), key).catch(() => {});
  const state = error instanceof Error ? inSentence(error) : String(error);
  watcher.notice(`the guest boots, for its template cannot be used and was removed: ${state}`);
}

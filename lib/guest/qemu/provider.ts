/**
 * QEMU as the machine that guests run in.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { inSentence, SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import {
  configuration,
  guestEntries,
  preparation,
  type RootEntries,
  rootEntries,
} from "../configuration.ts";
import { SetUpFailure } from "../agent/client.ts";
import type { Guest } from "../guest.ts";
import {
  carriedShares,
  type CommonPlan,
  type GuestPlan,
  hasTree,
  type Transport,
} from "../plan.ts";
import type {
  BootWatcher,
  Cable,
  GuestProvider,
  Probe,
  SaveOptions,
  TemplateBuild,
} from "../provider.ts";
import type { Root } from "../root/root.ts";
import { packTar } from "../root/tar.ts";
import { qemuChecks } from "./checks.ts";
import { filesNeeded } from "./files_needed.ts";
import { ROOT_STAYS_ROOT } from "./identity.ts";
import { QemuGuest, type QemuGuestOptions } from "./guest.ts";
import { BOOT, type GuestAsset, type QemuHost } from "./launch.ts";
import { launchOf, NO_MOUNTS } from "./launch_of.ts";
import { findMachine, type FoundMachine, measured } from "./machine.ts";
import { restore } from "./restore.ts";
import { goOnFrom, machineKey, savableOf } from "./saved_machine.ts";
import { Monitor } from "./monitor.ts";
import { OpenDisk } from "./open_disk.ts";
import { saveTemplate } from "./save_template.ts";
import { keyOf, servedBy, sizeOf } from "./template_machine.ts";
import { findTransport, type TransportFinding } from "./transport.ts";
import { writeBackMs } from "./write_back.ts";

/** The guest cannot be made to forget files of its root, so there must be room for all that it ever knows. */
const FILES_OF_ROOT = 1 << 18;

const FEW_FILES: TransportFinding = {
  transport: "9p",
  reason: "this user may open too few files for a root by virtiofsd",
  fix: `raise the hard limit to ${FILES_OF_ROOT} or more: see 'ulimit -Hn' and limits.conf(5)`,
};

export class QemuProvider implements GuestProvider {
  readonly name = "QEMU";
  readonly #host: QemuHost;
  readonly #distrusted: readonly string[];
  /** What was looked for before its guest has a plan. */
  readonly #entries = new WeakMap<Root, Promise<RootEntries>>();
  #found: Promise<FoundMachine> | undefined;

  /** QEMU is not taken from directories that are distrusted, because a guest can write to them. */
  constructor(host: QemuHost, distrusted: readonly string[] = []) {
    this.#host = host;
    this.#distrusted = distrusted;
  }

  get checks() {
    return qemuChecks(this.#host);
  }

  /** Where the counter is measured, that gives the time for a look at the root. */
  async probe(root?: Root): Promise<Probe> {
    const { found } = await this.#machine();
    if (root !== undefined && !hasTree({ root })) this.#entriesOf(root).catch(() => {});
    return found;
  }

  #entriesOf(root: Root): Promise<RootEntries> {
    const known = this.#entries.get(root) ?? rootEntries(root);
    this.#entries.set(root, known);
    return known;
  }

  async boot(plan: GuestPlan, cable: Cable | undefined, watcher: BootWatcher): Promise<Guest> {
    const machine = await this.#machine();
    const { accelerator, reason } = machine.found;
    if (accelerator === "tcg") {
      watcher.notice(`the guest is emulated, which is slower: ${reason}`, "emulation");
    }
    const transport = this.#transport(plan, machine);
    if (plan.saving !== undefined) {
      return await this.#bootSavable(plan, cable, watcher, machine, await transport);
    }
    const common = servedBy(plan, cable, this.#host.platform);
    if (common === null) {
      return await this.#boot(plan, cable, watcher, machine, await transport);
    }
    const entries = this.#entriesOf(plan.root);
    entries.catch(() => {}); // heard of where they are awaited
    const early = common.root === undefined ? [] : (await entries).early;
    const by = await transport;
    const host = this.#host;
    using disk = new OpenDisk(host, plan.disk);
    const restoring = { cable, machine, by, disk, host, watcher };
    const { guest, blame } = await restore(plan, common, early, restoring);
    let fault: unknown;
    if (guest !== null) {
      try {
        return await this.#finish(guest, watcher, async () => {
          if (common.root === undefined) await this.#setUp(guest, plan, by, randomBytes(64));
          else await this.#configure(guest, plan, by, true);
        });
      } catch (error) {
        if (!isOfResuming(error)) throw error;
        fault = error;
      }
    }
    const missing = sizeOf(common);
    const booted = await this.#boot(plan, cable, watcher, machine, by, { missing, disk });
    // What fails either way is not the template's fault.
    await blame(fault);
    return booted;
  }

  async saveTemplate(plan: CommonPlan, options: SaveOptions = {}): Promise<TemplateBuild> {
    requireTemplates(this.#host);
    const machine = await measured(await this.#machine());
    const early = plan.root === undefined ? [] : (await rootEntries(plan.root)).early;
    const key = await keyOf(plan, early, machine, this.#host);
    return await saveTemplate(key, plan, early, machine, this.#host, options);
  }

  /** Of a saved machine that it cannot go on from, it boots from the disk alone. */
  async #bootSavable(
    { saving, ...plan }: GuestPlan,
    cable: Cable | undefined,
    watcher: BootWatcher,
    found: FoundMachine,
    by: TransportFinding,
  ): Promise<Guest> {
    if (saving === undefined || by.transport === "9p" || !by.daemon.isSavable) {
      const unsavable = whyUnsavable(by);
      watcher.notice(`the guest's memory cannot be saved: ${unsavable}`);
      return await this.#boot(plan, cable, watcher, found, by, { unsavable });
    }
    const { from, state } = saving;
    if (from !== undefined) {
      const machine = await measured(found);
      const going = { ...plan, saving };
      let isGivenUp = false;
      void watcher.ended?.then(() => isGivenUp = true);
      const guest = await goOnFrom(going, from, { cable, watcher, machine, by, host: this.#host })
        .catch((error) => {
          if (isGivenUp || !(error instanceof SbxError)) throw error;
          watcher.notice(
            `the guest boots, for it cannot go on from its memory: ${inSentence(error)}`,
          );
          return null;
        });
      if (guest !== null) return guest;
    }
    return await this.#boot({ ...plan, saving: { state } }, cable, watcher, found, by);
  }

  /** `unsavable`: why it cannot be saved, where that is wanted. `disk`: the plan's, where somebody has it open. */
  async #boot(
    plan: GuestPlan,
    cable: Cable | undefined,
    watcher: BootWatcher,
    found: FoundMachine,
    by: TransportFinding,
    { disk, ...about }: Pick<QemuGuestOptions, "missing" | "unsavable"> & {
      readonly disk?: OpenDisk;
    } = {},
  ): Promise<Guest> {
    using own = disk ?? new OpenDisk(this.#host, plan.disk);
    const machine = await measured(found);
    const launch = launchOf(plan, cable, machine, by, this.#host.caller(), filesNeeded);
    const { saving } = plan;
    const qemu = this.#host.spawn({
      ...launch,
      ...await own.take(),
      ...(saving === undefined ? {} : { stateFd: this.#host.openState(saving.state) }),
    });
    watcher.running(qemu.pid);
    const [socket] = qemu.channels;
    const guest = new QemuGuest(qemu, machine.found.accelerator, {
      writeBackMs: writeBackMs(plan),
      ...about,
      ...(saving === undefined || socket === undefined ? {} : {
        savable: savableOf(plan.memoryMiB, saving, this.#host, {
          monitor: new Monitor(socket),
          key: await machineKey(plan, cable, machine, by, this.#host),
          tscKHz: machine.tscKHz,
        }),
      }),
    });
    return await this.#finish(guest, watcher, () => this.#setUp(guest, plan, by));
  }

  /** All that a machine needs which has no root yet. `resumed`: see {@link preparation}. */
  async #setUp(
    guest: QemuGuest,
    plan: GuestPlan,
    by: TransportFinding,
    resumed?: Uint8Array,
  ): Promise<void> {
    const isBooting = resumed === undefined;
    const ofDisk: readonly GuestAsset[] = isBooting ? ["disk", "disk_modules"] : ["disk"];
    // Beside the boot, and before anything of the user's gets into the guest.
    const sound = this.#host.requireSound([
      ...(isBooting ? BOOT : []),
      ...(plan.disk === undefined ? [] : ofDisk),
    ]);
    sound.catch(() => {});
    const { early } = await this.#entriesOf(plan.root);
    const modules = isBooting && by.transport === "virtiofs" ? ["virtiofs"] : [];
    const disk = isBooting && plan.disk !== undefined ? [await this.#host.diskModules()] : [];
    const archives = Buffer.concat([...disk, packTar(early)]);
    // What the guest fails at first is what it fails at.
    await Promise.all([
      guest.prepare(preparation(plan, modules, transportOf(by), resumed), archives),
      sound.then(() => this.#configure(guest, plan, by)),
    ]);
  }

  /** `unseen`: see {@link configuration}. */
  async #configure(
    guest: QemuGuest,
    plan: GuestPlan,
    by: TransportFinding,
    unseen = false,
  ): Promise<void> {
    const entries = await this.#entriesOf(plan.root);
    const trust = await plan.trust();
    await guest.configure(
      configuration(plan, trust, randomBytes(64), transportOf(by), unseen),
      packTar(await guestEntries(plan, entries, trust, this.#host.makeDatabase)),
    );
  }

  /** The guest, once the steps are done; whatever fails, or ends the wait, ends it. */
  async #finish(
    guest: QemuGuest,
    watcher: BootWatcher,
    steps: () => Promise<void>,
  ): Promise<Guest> {
    let started = false;
    void watcher.ended?.then(() => started ? undefined : guest.stop());
    try {
      await steps();
    } catch (error) {
      await guest.stop();
      throw error;
    }
    started = true;
    return guest;
  }

  async #transport(plan: GuestPlan, { launcher }: FoundMachine): Promise<TransportFinding> {
    if (carriedShares(plan).length === 0) return NO_MOUNTS;
    const found = await findTransport(this.#host, launcher, this.#distrusted);
    const forgets = found.transport === "virtiofs" && found.files < FILES_OF_ROOT;
    return forgets && hasTree(plan) ? FEW_FILES : found;
  }

  async #machine(): Promise<FoundMachine> {
    requireOrdinary(this.#host);
    this.#found ??= findMachine(this.#host, this.#distrusted);
    return await this.#found;
  }
}

/** What a machine can fail at that went on before it had its devices and its root, and one that boots may not. */
function isOfResuming(error: unknown): boolean {
  return error instanceof SetUpFailure && error.method === "prepare" && !error.isOfDisk;
}

function whyUnsavable(by: TransportFinding): string {
  return by.transport === "9p"
    ? `QEMU itself serves its files, which keeps it from being saved: ${by.reason}`
    : `${escapeText(by.daemon.path)} cannot be saved with it, as one can from version 1.11 on`;
}

/** @throws SbxError REQUIREMENT_MISSING */
function requireOrdinary({ platform, caller }: QemuHost): void {
  if (platform.hasOtherUsers || caller().uid !== 0) return;
  const { state, fix } = ROOT_STAYS_ROOT;
  throw new SbxError("REQUIREMENT_MISSING", `Cannot start a guest: ${state}`, { hint: fix });
}

/** @throws SbxError REQUIREMENT_MISSING */
function requireTemplates({ platform: { hasTemplates, system } }: QemuHost): void {
  if (hasTemplates) return;
  throw new SbxError("REQUIREMENT_MISSING", `Cannot make a template: ${system} has none`, {
    hint: "guests boot there: there is nothing to make",
  });
}

function transportOf(by: TransportFinding): Transport {
  return by.transport === "9p" ? { transport: "9p" } : { transport: "virtiofs", files: by.files };
}

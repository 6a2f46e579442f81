/**
 * Goes on from a machine that was saved while it ran.
 *
 * ```
 * same machine? ── QEMU reads the state ── agent answers ── renewed ──► another guest, whose processes go on
 *    └─ no ───────────── refused, dead, silent ─────────────────────► the guest boots from its disk
 * ```
 *
 * What it depends on has to be what it was: QEMU and file daemon, kernel, options, and the directories that it has
 * of this machine. Whether the files that it knows there are the same, the daemon itself says.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { SbxError } from "../../base/errors.ts";
import { preparation, renewal, renewedEntries } from "../configuration.ts";
import { carriedShares, type GuestPlan } from "../plan.ts";
import type { BootWatcher, Cable } from "../provider.ts";
import type { SavedMachine, Saving } from "../saved.ts";
import { packTar } from "../root/tar.ts";
import { templateKey } from "../template/key.ts";
import { digestOf } from "../template/own_file.ts";
import { filesNeeded } from "./files_needed.ts";
import { goesOn } from "./going_on.ts";
import { QemuGuest, type Savable } from "./guest.ts";
import type { QemuHost } from "./launch.ts";
import { launchOf, savableLaunchOf } from "./launch_of.ts";
import type { Machine } from "./machine.ts";
import { loadMachine } from "./migration.ts";
import { Monitor } from "./monitor.ts";
import { processor } from "./template_machine.ts";
import type { TransportFinding } from "./transport.ts";
import { writeBackMs } from "./write_back.ts";

/** Its whole memory is read. */
const LIMIT_MS = 120_000;

/** Two measurements of one counter differ by less than a thousandth. */
const SAME_COUNTER = 1_000;

/** What a machine depends on, as one text. */
export async function machineKey(
  plan: GuestPlan,
  cable: Cable | undefined,
  machine: Machine,
  by: TransportFinding,
  host: QemuHost,
): Promise<string> {
  const { from: _, ...saving } = plan.saving ?? { state: "" };
  const counted = { ...machine, tscKHz: Math.sign(machine.tscKHz) };
  const launch = launchOf({ ...plan, saving }, cable, counted, by, host.caller(), filesNeeded);
  const shares = await Promise.all(
    carriedShares({ ...plan, saving }).map(async (share) => {
      const { dev, ino } = await stat(share.path, { bigint: true });
      return [share.tag, share.at, share.readOnly, share.as ?? "", String(dev), String(ino)];
    }),
  );
  // Their copies are in the machine.
  const files = plan.files.map(({ at, entry: { mode, data = new Uint8Array() } }) => [
    at,
    mode,
    digestOf(data),
  ]);
  return await templateKey({
    build: host.build,
    argv: [...launch.argv, ...launch.daemons.flatMap(({ argv }) => argv)],
    files: [
      machine.program,
      machine.kernel,
      machine.initramfs,
      ...(by.transport === "virtiofs" ? [by.daemon.path] : []),
    ],
    user: host.caller().uid,
    processor: machine.found.accelerator === "tcg" ? "" : await processor(),
    preparation: { ...preparation(plan, []), disk: plan.disk?.bytes, shares, files },
    entries: [],
  });
}

/** A machine that can be saved, by where its state goes. */
export function savableOf(
  memoryMiB: number,
  { state }: Saving,
  host: Pick<QemuHost, "emptyState" | "roomForState">,
  known: Pick<Savable, "monitor" | "key" | "tscKHz">,
): Savable {
  const file = { room: () => host.roomForState(state), empty: () => host.emptyState(state) };
  return { ...known, memoryMiB, file };
}

export interface Going {
  readonly cable: Cable | undefined;
  readonly watcher: BootWatcher;
  readonly machine: Machine;
  readonly by: TransportFinding;
  readonly host: QemuHost;
}

/** A plan of which the machine can be saved. */
type SavablePlan = GuestPlan & { readonly saving: Saving };

/** @throws SbxError MEMORY_UNSAVABLE where it is of another machine, GUEST_START */
export async function goOnFrom(
  plan: SavablePlan,
  saved: SavedMachine,
  { cable, watcher, machine, by, host }: Going,
): Promise<QemuGuest> {
  const key = await machineKey(plan, cable, machine, by, host);
  if (key !== saved.key) throw other(DEPENDED_ON);
  const drift = Math.abs(machine.tscKHz - saved.tscKHz);
  if (drift > machine.tscKHz / SAME_COUNTER) throw other("the processor's counter");
  const counted = { ...machine, tscKHz: saved.tscKHz };
  const { launch, stateFd } = savableLaunchOf(plan, cable, counted, by, host.caller(), filesNeeded);
  const qemu = host.spawn({
    ...launch,
    ...(plan.disk === undefined ? {} : { diskFd: await host.openDisk(plan.disk) }),
    stateFd: host.openState(plan.saving.state),
  });
  watcher.running(qemu.pid);
  const [socket, channel] = qemu.channels;
  if (socket === undefined || channel === undefined) throw new TypeError("no channels");
  const monitor = new Monitor(socket);
  const guest = new QemuGuest(qemu, machine.found.accelerator, {
    writeBackMs: writeBackMs(plan),
    calls: saved.calls,
    savable: savableOf(plan.memoryMiB, plan.saving, host, { monitor, key, tscKHz: saved.tscKHz }),
  });
  let started = false;
  void watcher.ended?.then(() => started ? undefined : guest.stop());
  try {
    const loaded = Promise.all([
      pipeline(host.readState(saved.state), channel),
      loadMachine(monitor, stateFd),
    ]);
    await goesOn(qemu, LIMIT_MS, loaded);
    await guest.renew(renewal(plan, randomBytes(64)), packTar(renewedEntries(plan)));
    started = true;
    return guest;
  } catch (error) {
    await guest.stop();
    throw error;
  }
}

const DEPENDED_ON = "sbx, QEMU, virtiofsd, its size, or what it has of this machine";

function other(what: string): SbxError {
  return new SbxError("MEMORY_UNSAVABLE", `Cannot go on: ${what} is not what it was`);
}

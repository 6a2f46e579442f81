/**
 * Puts a guest of Lima's together: netstack, the network that decides for it, QEMU, and the proof that
 * the guest has no other way out. Lima's driver starts it, and has it go.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { SbxError } from "../base/errors.ts";
import { LimaGuest } from "../guest/lima/guest.ts";
import { limaHostname, type LimaInstance } from "../guest/lima/instance.ts";
import { limaLink, limaMac } from "../guest/lima/link.ts";
import { ownDriverOf } from "../guest/lima/own_driver.ts";
import { requireProven } from "../guest/lima/proof_part.ts";
import { requireGoverned } from "../guest/lima/refusals.ts";
import { buildInfo } from "../host/build_info.ts";
import { agentProgram } from "../host/lima/agent_program.ts";
import { openAgentPort } from "../host/lima/agent_port.ts";
import { ownArchitecture } from "../host/lima/machine.ts";
import { machineId } from "../host/lima/machine_id.ts";
import { keptDraw } from "../host/lima/placeholder_seed.ts";
import { requireFiles } from "../host/surroundings.ts";
import { usableAsset } from "../host/usable_asset.ts";
import { spawnWatchdog } from "../host/watchdog.ts";
import { openJournal } from "../journal/file.ts";
import { NO_JOURNAL } from "../journal/journal.ts";
import { startLine } from "../journal/start_line.ts";
import { openCable } from "./cable.ts";
import { Events, followed } from "./events.ts";
import { guestCards } from "./guest_cards.ts";
import { Lifetime } from "./lifetime.ts";
import { ownAuthority } from "./lima_authority.ts";
import { openQemuRoute } from "./lima_qemu_route.ts";
import type { LimaRoute, LimaRouteSpec } from "./lima_route.ts";
import type { SandboxOptions } from "./options.ts";
import { placeholdersOf } from "./placeholders.ts";
import { policyNotices } from "./policy_notices.ts";
import { Pulse } from "./pulse.ts";
import { Sandbox } from "./sandbox.ts";
import { journalPart, watchdogPart, withEvents } from "./start.ts";
import { refuseUselessSecrets } from "./useless_secrets.ts";

/** How long after its monitor closed QEMU has to end and say why. */
const LAST_WORDS_MS = 500;

/** A guest that has not answered QEMU's monitor by then is no guest. */
const START_LIMIT_MS = 30_000;

/** How long its SSH may take: as long as Lima waits for a boot, and once it was there no longer than it hurts. */
const BOOT_LIMIT_MS = 600_000;
const ANSWER_LIMIT_MS = 30_000;

/** How a guest of Lima's is started: what it is, and what decides about it. */
export interface LimaStart extends SandboxOptions {
  readonly instance: LimaInstance;
  /** How long it may take to power off. */
  readonly stopMs: number;
  /** Aborting it gives the start up. */
  readonly signal?: AbortSignal;
  /** Called when one of Lima's own drivers may plug the guest in. */
  readonly listening?: () => void;
}

/**
 * Starts it. Resolves when QEMU runs, and is proven to have no network but sbx; the guest boots from there.
 *
 * @throws SbxError LIMA_INSTANCE, REQUIREMENT_MISSING, FILE_UNREADABLE, PORT_BUSY, GUEST_START, …
 */
export async function startLimaGuest(options: LimaStart): Promise<Sandbox> {
  const { signal } = options;
  signal?.throwIfAborted();
  const pulse = new Pulse();
  const events = new Events();
  const lifetime = new Lifetime({
    notice: (line) => options.onNotice?.(line),
    explain: (reason) => pulse.explain(reason),
  });
  const abort = () => void lifetime.end(new SbxError("STOPPED", "Cannot start the guest: aborted"));
  signal?.addEventListener("abort", abort);
  try {
    const composing = compose({ ...options, ...withEvents(options, events) }, lifetime, events);
    return await lifetime.until(composing, "start the guest");
  } catch (error) {
    await lifetime.end();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

async function compose(options: LimaStart, lifetime: Lifetime, events: Events): Promise<Sandbox> {
  const { instance, onDenial } = options;
  const notice = (line: string) => options.onNotice?.(line);
  requireGoverned(instance, ownArchitecture());
  requireFiles();
  const { network } = options;
  const authority = await ownAuthority(network, instance.dir);
  await refuseUselessSecrets(network);
  for (const line of policyNotices(network)) notice(line);
  const mac = limaMac(machineId(), instance.dir);
  const route = await openRoute({ instance, mac, lifetime, notice, listening: options.listening });
  const [launcher, program] = await Promise.all([
    usableAsset("netstack", notice),
    agentProgram(notice),
  ]);
  const journal = followed(
    options.journal === undefined ? NO_JOURNAL : openJournal(options.journal),
    events,
  );
  lifetime.add(journalPart(journal, lifetime, options, events));
  journal.write(startLine({
    sbx: buildInfo()["sbx"] ?? "",
    policy: network.policy,
    ...(options.command === undefined ? {} : { command: options.command }),
  }));
  const opening = openCable({
    network,
    link: limaLink(mac),
    ...route.cable,
    ...(authority === undefined ? {} : { authority }),
    ...(network.secrets.secrets.length === 0 ? {} : { draw: await keptDraw(instance.dir) }),
    hostname: limaHostname(instance.name),
    netstackPath: () => Promise.resolve(launcher),
    journal,
    lifetime,
    onDenial: (denial) => onDenial?.(denial),
    onNotice: notice,
  });
  const [cable] = await Promise.all([opening, route.listen()]);
  let hasAnswered = false;
  const { machine, look } = await route.plug(cable, launcher);
  const guest = new LimaGuest(machine, route.accelerator, {
    connect: () =>
      openAgentPort({
        instance,
        program,
        patienceMs: hasAnswered ? ANSWER_LIMIT_MS : BOOT_LIMIT_MS,
        onOpen: () => void (hasAnswered = true),
      }),
    onFault: (error) => void lifetime.end(error),
  });
  lifetime.add({ name: "QEMU", gone: guest.exited, stop: () => guest.stop() });
  const watchdog = spawnWatchdog(launcher, { endsCaller: true, outlivesCaller: route.isLimas });
  watchdog.guard(guest.pid);
  lifetime.add(watchdogPart(watchdog));
  cable.netstack.releaseFrames();
  requireProven(await answering(guest, look()));
  await answering(guest, guest.run());
  const prove = async () => {
    const inside = await guestCards(guest);
    const proof = await look(inside);
    const faults = proof.flatMap(({ faults }) => faults);
    if (faults.length > 0) {
      void lifetime.end(
        new SbxError("GUEST_LOST", `Cannot let the guest go on: ${faults.join("; ")}`, {
          hint: "this is what a guest must never have: please report it with 'sbx version'",
        }),
      );
    }
    return proof;
  };
  // As soon as the guest can be asked. One without SSH says nothing, which proves nothing either way.
  void prove().catch((error) => notice(`the guest was not asked for its cards: ${error.message}`));
  return new Sandbox({
    options,
    lifetime,
    guest,
    events,
    network: cable.network,
    policy: cable.live,
    processes: [
      { name: "netstack", pid: cable.netstack.pid },
      { name: "watchdog", pid: watchdog.pid },
    ],
    isShared: true,
    placeholders: placeholdersOf(cable.vault),
    watch: (ms) => watchdog.limit(ms),
    ...(cable.vault === undefined ? {} : { vault: cable.vault }),
    console: guest.console,
    prove,
    powerDown: (limitMs) => guest.powerDown(Math.max(limitMs, options.stopMs)),
  });
}

async function openRoute(spec: LimaRouteSpec): Promise<LimaRoute> {
  const driver = ownDriverOf(spec.instance);
  if (driver === undefined) return await openQemuRoute(spec);
  const { openUsernetRoute } = await import("./lima_usernet_route.ts");
  return await openUsernetRoute(spec, driver);
}

/** What is asked of a guest that has just been started, unless it is none. */
async function answering<T>(guest: LimaGuest, answers: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new SbxError("GUEST_START", "Cannot start the guest: QEMU did not answer")),
      START_LIMIT_MS,
    );
  });
  const dead = guest.exited.then((error) => {
    throw error ?? new SbxError("GUEST_START", "Cannot start the guest: QEMU ended at once");
  });
  dead.catch(() => {}); // it may go later, when that is somebody else's to say
  try {
    // The end of its monitor is known before QEMU's own, which has the better words.
    const failed = (error: unknown) =>
      Promise.race([dead, delay(LAST_WORDS_MS)]).then(() => {
        throw error;
      });
    return await Promise.race([answers.catch(failed), late, dead]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Puts one sandbox together: netstack, the network that decides for it, and the guest. What can fail
 * without a guest is done before it boots, so that a typing error costs no second.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { plural } from "../base/plural.ts";
import type { GuestDisk } from "../guest/disk.ts";
import type { Guest } from "../guest/guest.ts";
import { namedShares } from "../guest/plan.ts";
import type { NoticeTopic } from "../guest/provider.ts";
import type { Saving } from "../guest/saved.ts";
import { mountedFiles } from "../guest/root/mounted_files.ts";
import type { Root } from "../guest/root/root.ts";
import { buildInfo } from "../host/build_info.ts";
import { guestProvider } from "../host/guest_provider.ts";
import { cacheDir, dataDir, expandHome, stateDir } from "../host/paths.ts";
import { requireFiles } from "../host/surroundings.ts";
import { usableAsset } from "../host/usable_asset.ts";
import { spawnTemplateBuild } from "../host/spawn_template_build.ts";
import { spawnWatchdog, type Watchdog } from "../host/watchdog.ts";
import { openJournal } from "../journal/file.ts";
import { type Journal, NO_JOURNAL } from "../journal/journal.ts";
import { startLine } from "../journal/start_line.ts";
import { isFile } from "../journal/target.ts";
import { openCable } from "./cable.ts";
import { givenCopies, lookAtCopied } from "./changes/given.ts";
import { Events, followed } from "./events.ts";
import { guardFiles } from "./guarded_files.ts";
import { guardSecrets } from "./guarded_secrets.ts";
import { guestPlan } from "./guest_plan.ts";
import { guestRoot } from "./guest_root.ts";
import { guestTrust } from "./guest_trust.ts";
import { Lifetime, type Part } from "./lifetime.ts";
import { linkNotices, resolveMounts } from "./mounts.ts";
import type { Disk, Mount, SandboxOptions } from "./options.ts";
import { placeholdersOf } from "./placeholders.ts";
import { policyNotices } from "./policy_notices.ts";
import { Pulse } from "./pulse.ts";
import { Sandbox } from "./sandbox.ts";
import { refuseUselessSecrets } from "./useless_secrets.ts";

/** How long a start that is given up may take to leave nothing behind. */
const GIVE_UP_MS = 1000;

/** How a sandbox is started. */
export interface StartOptions {
  /** Aborting it gives the start up. */
  readonly signal?: AbortSignal;
  /**
   * A program whose thread hangs for ten seconds loses its sandboxes. True: when it still hangs five
   * seconds later, it is ended as well, by SIGKILL. For programs that exist for their sandbox alone.
   */
  readonly endsProcess?: boolean;
  /** How its machine can be saved while it runs, and what it goes on from. Absent: it cannot, and it boots. */
  readonly saving?: Saving;
  /** True: where its guest boots for want of a template, that is made behind this process once all is over. */
  readonly makesTemplate?: boolean;
  /** True: several may use it at once, so that it outlives a command that is slow to end. */
  readonly isShared?: boolean;
}

/** See `SandboxBuilder.create`. */
export async function start(
  options: SandboxOptions,
  { signal, endsProcess = false, isShared = false, makesTemplate = false, saving }: StartOptions =
    {},
): Promise<Sandbox> {
  signal?.throwIfAborted();
  const pulse = new Pulse();
  const events = new Events();
  const lifetime = new Lifetime({
    notice: (line) => options.onNotice?.(line),
    explain: (reason) => pulse.explain(reason),
  });
  const abort = () =>
    void lifetime.end(new SbxError("STOPPED", "Cannot start the sandbox: aborted"));
  signal?.addEventListener("abort", abort);
  const composing = compose(
    withEvents(options, events),
    lifetime,
    { endsProcess, isShared, makesTemplate, ...(saving === undefined ? {} : { saving }) },
    events,
  );
  try {
    return await lifetime.until(composing, "start the sandbox");
  } catch (error) {
    await lifetime.end();
    // What was being started when the end came is no part yet; it sees the end and goes by itself.
    await Promise.race([composing.catch(() => {}), delay(GIVE_UP_MS, undefined, { ref: false })]);
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

async function compose(
  options: SandboxOptions,
  lifetime: Lifetime,
  { endsProcess, isShared, makesTemplate, saving }:
    & Required<Pick<StartOptions, "endsProcess" | "isShared" | "makesTemplate">>
    & Pick<StartOptions, "saving">,
  events: Events,
): Promise<Sandbox> {
  requireFiles();
  const mounts = await resolveMounts(options.mounts);
  for (const line of await linkNotices(options.mounts, mounts)) options.onNotice?.(line);
  const root = await guestRoot(options.root);
  await guard(mounts, root, options);
  await refuseUselessSecrets(options.network);
  for (const line of policyNotices(options.network)) options.onNotice?.(line);
  const notice = (line: string, topic?: NoticeTopic) => options.onNotice?.(line, topic);
  if (options.savable && saving === undefined) {
    notice(
      "the guest begins with the disk alone: it would go on from the memory with -d, or by create",
    );
  }
  const writable = mounts.filter(({ readOnly }) => !readOnly).map(({ host }) => host);
  const looking = lookAtCopied(mounts);
  const provider = guestProvider(notice, writable);
  const fromTemplate = options.template && options.disk === undefined;
  const probing = provider.probe(fromTemplate ? root : undefined);
  probing.catch(() => {}); // awaited below, unless something else fails first
  const journal = followed(
    options.journal === undefined ? NO_JOURNAL : openJournal(options.journal),
    events,
  );
  lifetime.add(journalPart(journal, lifetime, options, events));
  if (options.journal !== undefined) {
    journal.write(startLine({
      sbx: buildInfo()["sbx"] ?? "",
      policy: options.network.policy,
      ...(options.command === undefined ? {} : { command: options.command }),
    }));
  }
  const hostname = options.hostname ?? options.name;
  const started = Promise.withResolvers<Guest>();
  const cable = options.network.policy.network
    ? await openCable({
      network: options.network,
      hostname,
      netstackPath: () => usableAsset("netstack", notice),
      journal,
      lifetime,
      writable,
      askGuest: async (question) => (await started.promise).reach(question),
      onDenial: (denial) => options.onDenial?.(denial),
      onNotice: notice,
    })
    : undefined;
  const plan = guestPlan(options, {
    root,
    machineId: randomBytes(16).toString("hex"),
    mounts,
    files: await mountedFiles(mounts.filter(({ file }) => file)),
    ...(options.disk === undefined ? {} : { disk: guestDisk(options.disk) }),
    ...(saving === undefined ? {} : { saving }),
    trust: () => guestTrust(options.network.tls, cable?.authority),
    ...(cable === undefined ? {} : { network: cable.end }),
  });
  await lifetime.until(probing, "start the sandbox");
  const netstack = await usableAsset("netstack", notice);
  let watchdog: Watchdog | undefined;
  const guest = await provider.boot(
    plan,
    cable === undefined ? undefined : { fd: cable.netstack.framesFd },
    {
      notice,
      running(pid) {
        watchdog = spawnWatchdog(netstack, { endsCaller: endsProcess });
        watchdog.guard(pid);
        lifetime.add(watchdogPart(watchdog));
      },
      ended: lifetime.ending,
    },
  );
  started.resolve(guest);
  lifetime.add({ name: provider.name, gone: guest.exited, stop: () => guest.stop() });
  cable?.netstack.releaseFrames();
  const { missing } = guest;
  if (makesTemplate && missing !== undefined) {
    void lifetime.ending.then(async (failure) => {
      await lifetime.end();
      if (failure === undefined) spawnTemplateBuild(missing, writable);
    });
  }
  const copies = await givenCopies(mounts, looking, options.disk, { guest, lifetime }, notice);
  return new Sandbox({
    copies,
    options,
    lifetime,
    guest,
    events,
    processes: [
      ...(cable === undefined ? [] : [{ name: "netstack", pid: cable.netstack.pid }]),
      ...(watchdog === undefined ? [] : [{ name: "watchdog", pid: watchdog.pid }]),
    ],
    isShared,
    placeholders: placeholdersOf(cable?.vault),
    hasAuthority: cable?.authority !== undefined,
    watch: (ms) => watchdog?.limit(ms) ?? (() => {}),
    ...(cable === undefined ? {} : { network: cable.network, policy: cable.live }),
    ...(cable?.vault === undefined ? {} : { vault: cable.vault }),
  });
}

function guestDisk({ path, ...disk }: Disk): GuestDisk {
  return path === undefined ? disk : { ...disk, path: resolve(expandHome(path)) };
}

/** What the guest could change of what this run, or the next one, goes by. */
async function guard(
  mounts: readonly Mount[],
  root: Root,
  options: SandboxOptions,
): Promise<void> {
  const { dns, tls } = options.network;
  const { journal, disk } = options;
  const changeable = await guardFiles(mounts, {
    own: [
      { path: cacheDir(), what: "what it executes", variable: "XDG_CACHE_HOME" },
      { path: dataDir(), what: "its certificate authority", variable: "XDG_DATA_HOME" },
      { path: stateDir(), what: "sandboxes and their disks", variable: "XDG_STATE_HOME" },
    ],
    ...(disk?.path === undefined ? {} : { disk: resolve(expandHome(disk.path)) }),
    ...(journal === undefined || !isFile(journal) ? {} : { journal }),
    inputs: [
      ...options.inputs,
      ...dns.blockLists.map(({ path }) => path),
      ...(tls.authority === undefined ? [] : [tls.authority.cert, tls.authority.key]),
      ...tls.upstreamCa,
      process.execPath,
    ],
  });
  await guardSecrets(options.network.secrets.secrets, {
    mounts: [
      ...mounts,
      ...namedShares({ root, mounts: [] }).map(({ path, at }) => ({
        host: path,
        guest: at,
        readOnly: true,
      })),
    ],
    system: root.shares.filter(({ isPrivate }) => !isPrivate).map(({ path }) => path),
  });
  if (changeable.length === 0) return;
  const [first = "", ...more] = changeable.map(escapeText);
  const files = more.length > 3 ? `${first} and ${more.length} more` : [first, ...more].join(", ");
  options.onNotice?.(`inside a writable mount, the guest can change for the next run: ${files}`);
}

/** A sandbox that nobody could end from outside does not go on. */
export function watchdogPart(watchdog: Watchdog): Part {
  let stopping = false;
  return {
    name: "the watchdog",
    gone: watchdog.exited.then(() =>
      stopping ? undefined : new SbxError("NETSTACK_LOST", "Cannot go on: the watchdog ended")
    ),
    stop() {
      stopping = true;
      watchdog.close();
    },
  };
}

/** Whoever is told of something by call can also read it. */
export function withEvents(options: SandboxOptions, events: Events): SandboxOptions {
  return {
    ...options,
    onDenial(denial) {
      options.onDenial?.(denial);
      events.tell({ kind: "denial", denial });
    },
    onNotice(line, topic) {
      options.onNotice?.(line, topic);
      events.tell({ kind: "notice", line });
    },
  };
}

/** The journal's last line says how the sandbox ended, so it is closed last. */
export function journalPart(
  journal: Journal,
  lifetime: Lifetime,
  options: Pick<SandboxOptions, "onNotice">,
  events?: Events,
): Part {
  const { promise: gone, resolve } = Promise.withResolvers<undefined>();
  return {
    name: "the journal",
    gone,
    async stop() {
      const reason = await lifetime.ending;
      journal.write({ event: "end", ...(reason === undefined ? {} : { error: reason.message }) });
      const lost = await journal.close();
      if (lost > 0) {
        options.onNotice?.(
          `the journal lacks ${plural(lost, "line")}, because it could not be written`,
        );
      }
      events?.end(reason);
      resolve(undefined);
    },
  };
}

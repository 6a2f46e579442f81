/**
 * Puts a guest of Lima's together: netstack, the network that decides for it, QEMU, and the proof that
 * the guest has no other way out. Lima's driver starts it, and has it go.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { SbxError } from "../base/errors.ts";
import { limaArgv } from "../guest/lima/args.ts";
import { LimaGuest } from "../guest/lima/guest.ts";
import type { LimaInstance } from "../guest/lima/instance.ts";
import { limaLink, limaMac, SSH_PORT } from "../guest/lima/link.ts";
import { requireProof } from "../guest/lima/proof.ts";
import { requireGoverned } from "../guest/lima/refusals.ts";
import { buildInfo } from "../host/build_info.ts";
import { limaFacts, socketInode } from "../host/lima/facts.ts";
import { findLimaBoot, findLimaMachine, ownArchitecture, spawnLima } from "../host/lima/machine.ts";
import { requireFiles } from "../host/surroundings.ts";
import { usableAsset } from "../host/usable_asset.ts";
import { spawnWatchdog } from "../host/watchdog.ts";
import { openJournal } from "../journal/file.ts";
import { NO_JOURNAL } from "../journal/journal.ts";
import { startLine } from "../journal/start_line.ts";
import type { Policy, Rule } from "../policy/model/policy.ts";
import { openCable } from "./cable.ts";
import { Lifetime } from "./lifetime.ts";
import { withAuthority } from "./lima_authority.ts";
import type { NetworkOptions, SandboxOptions } from "./options.ts";
import { policyNotices } from "./policy_notices.ts";
import { Pulse } from "./pulse.ts";
import { journalPart, watchdogPart } from "./start.ts";

/** How long after its monitor closed QEMU has to end and say why. */
const LAST_WORDS_MS = 500;

/** A guest that has not answered QEMU's monitor by then is no guest. */
const START_LIMIT_MS = 30_000;

export interface LimaGuestOptions
  extends Pick<SandboxOptions, "journal" | "onDenial" | "onNotice"> {
  readonly instance: LimaInstance;
  readonly network: NetworkOptions;
  /** Aborting it gives the start up. */
  readonly signal?: AbortSignal;
}

/** A guest that runs. */
export interface RunningLimaGuest {
  readonly pid: number;
  /** Resolves at the end: to the failure, or to undefined when it was asked for, or the guest's own. */
  readonly ended: Promise<SbxError | undefined>;
  /** Presses the power button; a guest that takes longer than that is killed. */
  powerDown(limitMs: number): Promise<void>;
  /** Ends the guest at once. Resolves when nothing of it is left; may be called again. */
  stop(): Promise<void>;
}

/**
 * Starts it. Resolves when QEMU runs, and is proven to have no network but sbx.
 *
 * @throws SbxError LIMA_INSTANCE, REQUIREMENT_MISSING, FILE_UNREADABLE, PORT_BUSY, GUEST_START, …
 */
export async function startLimaGuest(options: LimaGuestOptions): Promise<RunningLimaGuest> {
  const { signal } = options;
  signal?.throwIfAborted();
  const pulse = new Pulse();
  const lifetime = new Lifetime({
    notice: (line) => options.onNotice?.(line),
    explain: (reason) => pulse.explain(reason),
  });
  const abort = () => void lifetime.end(new SbxError("STOPPED", "Cannot start the guest: aborted"));
  signal?.addEventListener("abort", abort);
  try {
    const guest = await lifetime.until(compose(options, lifetime), "start the guest");
    return {
      pid: guest.pid,
      ended: lifetime.ending,
      async powerDown(limitMs) {
        await guest.powerDown(limitMs);
        await lifetime.end();
      },
      stop: () => lifetime.end(),
    };
  } catch (error) {
    await lifetime.end();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

async function compose(options: LimaGuestOptions, lifetime: Lifetime): Promise<LimaGuest> {
  const { instance, onDenial } = options;
  const notice = (line: string) => options.onNotice?.(line);
  requireGoverned(instance, ownArchitecture());
  requireFiles();
  const network = reachable(await withAuthority(options.network, instance.dir), instance);
  for (const line of policyNotices(network)) notice(line);
  const machine = await findLimaMachine(notice);
  const boot = await findLimaBoot(instance, machine);
  const journal = options.journal === undefined ? NO_JOURNAL : openJournal(options.journal);
  lifetime.add(journalPart(journal, lifetime, options));
  journal.write(startLine({
    sbx: buildInfo()["sbx"] ?? "",
    policy: network.policy,
    command: `lima:${instance.name}`,
  }));
  const mac = limaMac(machineId(), instance.dir);
  const cable = await openCable({
    network,
    link: limaLink(mac),
    hostname: `lima-${instance.name}`,
    netstackPath: () => usableAsset("netstack", notice),
    journal,
    lifetime,
    onDenial: (denial) => onDenial?.(denial),
    onNotice: notice,
  });
  const launcher = await usableAsset("netstack", notice);
  const { framesFd } = cable.netstack;
  const plugged = { cable: socketInode(framesFd), mac };
  const argv = limaArgv(instance, machine, boot, mac);
  const guest = new LimaGuest(spawnLima({ launcher, argv, framesFd }));
  lifetime.add({ name: "QEMU", gone: guest.exited, stop: () => guest.stop() });
  const watchdog = spawnWatchdog(launcher, true);
  watchdog.guard(guest.pid);
  lifetime.add(watchdogPart(watchdog));
  cable.netstack.releaseFrames();
  requireProof(await answering(guest, limaFacts(guest, plugged)));
  await answering(guest, guest.run());
  return guest;
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

/**
 * The network with Lima's own way in, which is not the policy's to close: without SSH Lima has no guest.
 * It is open to this machine's loopback alone, and only inwards.
 */
function reachable(network: NetworkOptions, { sshLocalPort }: LimaInstance): NetworkOptions {
  if (sshLocalPort === undefined || sshLocalPort === null || sshLocalPort === 0) {
    throw new SbxError("LIMA_INSTANCE", "Cannot start the guest: Lima gave it no port for SSH");
  }
  const ssh = {
    bind: "127.0.0.1",
    hostPort: sshLocalPort,
    guestPort: SSH_PORT,
    protocol: "tcp",
  } as const;
  const policy: Policy = {
    ...network.policy,
    // Of `none`, too: the card is there, and nothing passes but SSH.
    network: true,
    rules: [LET_SSH_IN, ...network.policy.rules],
  };
  return { ...network, policy, publish: [ssh, ...network.publish] };
}

const LET_SSH_IN: Rule = {
  action: "allow",
  direction: "inbound",
  destination: { kind: "cidr", cidr: "127.0.0.1/32" },
  protocols: ["tcp"],
  ports: [{ from: SSH_PORT, to: SSH_PORT }],
};

/** As Lima finds it. */
function machineId(): string {
  for (const path of ["/etc/machine-id", "/var/lib/dbus/machine-id"]) {
    try {
      const id = readFileSync(path, "utf8").trim();
      if (id !== "") return id;
    } catch {
      // The next place, or the host's name.
    }
  }
  return hostname();
}

/**
 * QEMU as the machine that guests run in.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import process from "node:process";
import { archive, configuration } from "../configuration.ts";
import type { Guest } from "../guest.ts";
import {
  type GuestMount,
  type GuestPlan,
  mountShares,
  rootShares,
  type Transport,
} from "../plan.ts";
import type { BootWatcher, Cable, GuestProvider, Probe } from "../provider.ts";
import { AGENT_FD, FIRST_FILE_FD, FRAMES_FD, qemuArgv } from "./args.ts";
import { qemuChecks } from "./checks.ts";
import { fileDaemonArgv } from "./file_daemon.ts";
import { filesNeeded } from "./files_needed.ts";
import { QemuGuest } from "./guest.ts";
import { type Caller, type FilesNeeded, identityOf } from "./identity.ts";
import type { QemuHost, QemuLaunch } from "./launch.ts";
import { findMachine, type Machine } from "./machine.ts";
import { findTransport, type TransportFinding } from "./transport.ts";

/** A process's own open files as paths. On Linux /dev/fd is a link that a bare /dev lacks. */
const OPEN_FILES = process.platform === "linux" ? "/proc/self/fd" : "/dev/fd";

const NO_MOUNTS: TransportFinding = { transport: "9p", reason: "nothing is mounted", fix: "" };

export class QemuProvider implements GuestProvider {
  readonly name = "QEMU";
  readonly #host: QemuHost;
  readonly #distrusted: readonly string[];
  #found: Promise<Machine> | undefined;

  /** QEMU is not taken from directories that are distrusted, because a guest can write to them. */
  constructor(host: QemuHost, distrusted: readonly string[] = []) {
    this.#host = host;
    this.#distrusted = distrusted;
  }

  get checks() {
    return qemuChecks(this.#host);
  }

  async probe(): Promise<Probe> {
    return (await this.#machine()).found;
  }

  async boot(plan: GuestPlan, cable: Cable | undefined, watcher: BootWatcher): Promise<Guest> {
    const machine = await this.#machine();
    const { accelerator, reason } = machine.found;
    if (accelerator === "tcg") {
      watcher.notice(`the guest is emulated, which is slower: ${reason}`, "emulation");
    }
    const by = await this.#transport(plan, machine);
    const qemu = this.#host.spawn(
      launchOf(plan, cable, machine, by, this.#host.caller(), filesNeeded),
    );
    watcher.running(qemu.pid);
    const guest = new QemuGuest(qemu, accelerator, plan.mounts.some(({ readOnly }) => !readOnly));
    let started = false;
    void watcher.ended?.then(() => started ? undefined : guest.stop());
    // Beside the boot, and before anything of the user's gets into the guest.
    const sound = this.#host.requireSound(["vmlinux", "initramfs"]);
    sound.catch(() => {});
    try {
      const trust = await plan.trust();
      await sound;
      await guest.configure(
        configuration(plan, trust, randomBytes(64), transportOf(by)),
        await archive(plan, trust, this.#host.makeDatabase),
      );
    } catch (error) {
      await guest.stop();
      throw error;
    }
    started = true;
    return guest;
  }

  async #transport({ mounts }: GuestPlan, { launcher }: Machine): Promise<TransportFinding> {
    if (mounts.length === 0) return NO_MOUNTS;
    return await findTransport(this.#host, launcher, this.#distrusted);
  }

  #machine(): Promise<Machine> {
    this.#found ??= findMachine(this.#host, this.#distrusted);
    return this.#found;
  }
}

function transportOf(by: TransportFinding): Transport {
  return by.transport === "9p" ? { transport: "9p" } : { transport: "virtiofs", files: by.files };
}

/** How QEMU is started for a plan. Pure. */
export function launchOf(
  plan: GuestPlan,
  cable: Cable | undefined,
  machine: Machine,
  by: TransportFinding,
  caller: Caller,
  needed: (mounts: readonly GuestMount[]) => FilesNeeded,
): QemuLaunch {
  const files = [machine.kernel, machine.initramfs];
  const firstMount = FIRST_FILE_FD + files.length;
  // The root's shares are everybody's to read; the user that QEMU becomes may not see the others.
  const mounts = mountShares(plan).map((share, index) =>
    by.transport === "virtiofs"
      ? { tag: share.tag, daemonFd: firstMount + index }
      : { ...share, path: `${OPEN_FILES}/${firstMount + index}` }
  );
  const daemons = by.transport === "9p" ? [] : plan.mounts.map((mount) => {
    const identity = identityOf(caller, needed([mount]));
    return {
      argv: fileDaemonArgv(by.daemon, identity.capabilities),
      directory: mount.host,
      readOnly: mount.readOnly,
      identity,
    };
  });
  const argv = qemuArgv({
    program: machine.program,
    architecture: machine.architecture,
    accelerator: machine.found.accelerator,
    cpus: plan.cpus,
    memoryMiB: plan.memoryMiB,
    kernel: `${OPEN_FILES}/${FIRST_FILE_FD}`,
    initramfs: `${OPEN_FILES}/${FIRST_FILE_FD + 1}`,
    tscKHz: machine.tscKHz,
    agentFd: AGENT_FD,
    shares: [...rootShares(plan), ...mounts],
    ...(plan.network === undefined || cable === undefined ? {} : {
      network: { mac: plan.network.mac, cable: "fd" in cable ? { fd: FRAMES_FD } : cable },
    }),
  });
  return {
    launcher: machine.launcher,
    argv,
    files,
    directories: by.transport === "9p" ? plan.mounts.map(({ host }) => host) : [],
    daemons,
    ...(cable !== undefined && "fd" in cable ? { framesFd: cable.fd } : {}),
    // What the user named is no business of QEMU's where daemons serve it.
    identity: identityOf(caller, by.transport === "9p" ? needed(plan.mounts) : "public"),
  };
}

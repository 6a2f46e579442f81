/**
 * Starting a guest: QEMU with what it boots, then the agent's configuration.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { execFile } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { SbxError } from "../base/errors.ts";
import { type AcceleratorFinding, findAccelerator } from "./accelerator.ts";
import type { AgentConfig } from "./agent.ts";
import { etcEntries, rootLinks } from "./etc.ts";
import type { Guest, GuestHost, GuestMount, GuestSpec } from "./guest.ts";
import {
  AGENT_FD,
  type Architecture,
  FIRST_FILE_FD,
  FRAMES_FD,
  qemuArgv,
  qemuProgram,
  type Share,
} from "./qemu_args.ts";
import { nssEntries } from "./nss_database.ts";
import { QemuGuest } from "./qemu_guest.ts";
import { packTar } from "./tar.ts";
import { AUTHORITY, bytesOf, type GuestTrust, TRUST_VARIABLES, trustEntries } from "./trust.ts";

/** Directories of the host that give the guest its tools. */
const TREES = ["/usr", "/opt"];

/** The user that owns nothing. */
const NOBODY = { uid: 65534, gid: 65534 };

/** What every guest on this machine starts with. */
export interface Machine {
  readonly architecture: Architecture;
  readonly found: AcceleratorFinding;
  readonly launcher: string;
  readonly kernel: string;
  readonly initramfs: string;
  /** Of the host's time stamp counter, where an emulated guest has to be told; else 0. */
  readonly tscKHz: number;
}

/**
 * Finds out; needs nothing of the guest, so it can go on beside other preparations.
 *
 * @throws SbxError REQUIREMENT_MISSING, FILE_UNREADABLE
 */
export async function findMachine(
  host: Pick<GuestHost, "assetPath" | "cacheDir">,
): Promise<Machine> {
  const architecture: Architecture = process.arch === "arm64" ? "arm64" : "x64";
  requireQemu(architecture);
  const [launcher, kernel, initramfs, found] = await Promise.all([
    host.assetPath("netstack"),
    host.assetPath("vmlinux"),
    host.assetPath("initramfs"),
    findAccelerator(architecture, host),
  ]);
  const emulated = found.accelerator === "tcg";
  return {
    architecture,
    found,
    launcher,
    kernel,
    initramfs,
    tscKHz: emulated ? await tscKHz(launcher) : 0,
  };
}

/**
 * Boots and configures; resolves when the first command can run.
 *
 * @throws SbxError GUEST_START with the end of the guest's console.
 */
export async function startGuest(
  spec: GuestSpec,
  host: GuestHost,
  machine: Machine,
): Promise<Guest> {
  const { architecture, launcher, kernel, initramfs, tscKHz } = machine;
  const { accelerator, reason } = machine.found;
  if (accelerator === "tcg") spec.notice(`the guest is emulated, which is slower: ${reason}`);
  const trees = TREES.filter((path) => existsSync(path));
  const user = process.getuid?.() === 0 && mayDropRoot(spec.mounts) ? NOBODY : undefined;
  const shares: Share[] = [
    ...trees.map((path, index) => ({ tag: `tree${index}`, path, readOnly: true })),
    ...spec.mounts.map(({ host, readOnly }, index) => ({
      tag: `mount${index}`,
      path: host,
      readOnly,
    })),
  ];
  const argv = qemuArgv({
    architecture,
    accelerator,
    cpus: spec.cpus,
    memoryMiB: spec.memoryMiB,
    kernel: `/dev/fd/${FIRST_FILE_FD}`,
    initramfs: `/dev/fd/${FIRST_FILE_FD + 1}`,
    tscKHz,
    agentFd: AGENT_FD,
    shares,
    ...(spec.network === undefined ? {} : { network: { fd: FRAMES_FD, mac: spec.network.mac } }),
  });
  const qemu = host.spawnQemu({
    launcher,
    argv,
    files: [kernel, initramfs],
    ...(spec.network === undefined ? {} : { framesFd: spec.network.framesFd }),
    ...(user === undefined ? {} : { user }),
  });
  const guest = new QemuGuest(qemu, accelerator, spec.mounts.some(({ readOnly }) => !readOnly));
  let started = false;
  void spec.ended?.then(() => started ? undefined : guest.stop());
  try {
    const trust = await spec.trust();
    await guest.configure(
      agentConfig(spec, trees, trust),
      packTar([
        ...etcEntries(spec.hostname, spec.network?.gateway4 ?? null),
        ...await trustEntries(trust),
        ...await nssEntries((trust.authority ?? []).map(bytesOf), host.makeDatabase),
      ]),
    );
  } catch (error) {
    await guest.stop();
    throw error;
  }
  started = true;
  return guest;
}

function requireQemu(architecture: Architecture): void {
  const program = qemuProgram(architecture);
  const found = (process.env.PATH ?? "").split(":").some((dir) => existsSync(`${dir}/${program}`));
  if (found) return;
  throw new SbxError("REQUIREMENT_MISSING", `Cannot start a guest: ${program} is not on the PATH`, {
    hint: "install QEMU, on Debian and Ubuntu with 'apt-get install qemu-system'",
  });
}

/**
 * Called by root, QEMU gives root up, unless a mount needs it: one that the guest may write, or that
 * others than root cannot read.
 */
export function mayDropRoot(mounts: readonly GuestMount[]): boolean {
  return mounts.every(({ host, readOnly }) => readOnly && openToAll(host));
}

function openToAll(path: string): boolean {
  for (let dir = path;; dir = dirname(dir)) {
    const { mode } = statSync(dir);
    if ((mode & 0o001) === 0) return false;
    if (dir === dirname(dir)) return (statSync(path).mode & 0o004) !== 0;
  }
}

function tscKHz(launcher: string): Promise<number> {
  return new Promise((resolve) => {
    execFile(
      launcher,
      ["tsc"],
      (error, stdout) => resolve(error === null ? Number(stdout) || 0 : 0),
    );
  });
}

function agentConfig(
  spec: GuestSpec,
  trees: readonly string[],
  trust: GuestTrust,
): AgentConfig {
  const { network } = spec;
  return {
    hostname: spec.hostname,
    timeNs: Date.now() * 1e6,
    entropy: randomBytes(64).toString("base64"),
    trees: trees.map((at, index) => ({ tag: `tree${index}`, at })),
    mounts: spec.mounts.map(({ guest, readOnly }, index) => ({
      tag: `mount${index}`,
      at: guest,
      readOnly,
    })),
    links: rootLinks(),
    home: "/root",
    ...(trust.authority === undefined
      ? {}
      : { trust: { authority: AUTHORITY, variables: TRUST_VARIABLES } }),
    ...(network === undefined ? {} : {
      network: {
        mtu: network.mtu,
        guest4: network.guest4,
        gateway4: network.gateway4,
        guest6: network.guest6,
        gateway6: network.gateway6,
      },
    }),
  };
}

/**
 * Lima's guests: what `sbx lima` and Lima's driver stand on. No part of the library's public face, as
 * nobody but Lima starts these guests.
 *
 * @module
 */
import { configured, type Told } from "../guest/lima/configure.ts";
import { limaHostname, type LimaInstance, readInstance } from "../guest/lima/instance.ts";
import { requireGoverned } from "../guest/lima/refusals.ts";
import { ownArchitecture } from "../host/lima/machine.ts";
import { configureOwnYaml } from "../host/lima/own_yaml.ts";
import { requireOwn } from "../host/private_place.ts";
import { usableAsset } from "../host/usable_asset.ts";
import { limaAuthority } from "../sandbox/lima_authority.ts";
import { limaPlaceholders } from "../sandbox/lima_placeholders.ts";
import type { NetworkOptions, SandboxOptions } from "../sandbox/options.ts";
import type { SbxError } from "../base/errors.ts";
import type { LimaPlace } from "../supervise/lima.ts";
import type { Launcher } from "../supervise/supervisor.ts";

export { type LimaInstance, readInstance, readLimaOptions } from "../guest/lima/instance.ts";
export { keepLimaArguments, keptLimaArguments } from "../host/lima/arguments.ts";
export { Limactl, type ListedInstance } from "../host/lima/limactl.ts";
export { installLimaDriver } from "../host/lima/driver.ts";
export { OWN_DRIVERS, type OwnDriver, ownDriverOf } from "../guest/lima/own_driver.ts";
export { sourceVariablesOf } from "../policy/model/aws_pair.ts";
export { USERNET } from "../guest/lima/usernet.ts";
export {
  configureLimaGuest,
  ownDriverLog,
  type SpawnedLimaGuest,
  spawnLimaGuest,
} from "../host/lima/spawn_guest.ts";
export { openUsernetHome } from "../host/lima/usernet_home.ts";
export {
  hasUsernetHome,
  instancesIn,
  usernetHome,
  usernetHomeOf,
  usernetNames,
} from "../host/lima/usernet_place.ts";
export {
  changedNetwork,
  forgetLima,
  forgetLimaChanges,
  requireLimaName,
} from "../supervise/lima.ts";

/** What an instance is called among the named sandboxes. */
export function placeOf({ name, dir }: Pick<LimaInstance, "name" | "dir">): LimaPlace {
  return { name, directory: dir };
}

/**
 * The instance as Lima gave it, with what a guest of sbx needs. The values of secrets are asked for only when
 * it is about to boot, which is when Lima has a port for its SSH.
 *
 * @throws SbxError LIMA_INSTANCE, FILE_UNREADABLE, TLS_INVALID, SECRET_UNAVAILABLE, SECRET_INVALID
 */
export async function configureInstance(
  instance: unknown,
  network: NetworkOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const { dir, sshLocalPort } = readInstance(instance);
  const isStarting = typeof sshLocalPort === "number" && sshLocalPort > 0;
  return configured(instance as Record<string, unknown>, await told(dir, network, isStarting));
}

/**
 * The same in the yaml of an instance that one of Lima's own drivers is about to boot.
 *
 * @throws SbxError as {@link configureInstance}
 */
export async function configureOwn(dir: string, network: NetworkOptions): Promise<void> {
  await configureOwnYaml(dir, await told(dir, network, true));
}

async function told(dir: string, network: NetworkOptions, isStarting: boolean): Promise<Told> {
  const authority = await limaAuthority(network, dir);
  const placeholders = isStarting ? await limaPlaceholders(network, dir) : undefined;
  return { authority, ...(placeholders === undefined ? {} : { placeholders }) };
}

/** @throws SbxError LIMA_INSTANCE with all that leads around the policy */
export function checkInstance(instance: LimaInstance): void {
  requireGoverned(instance, ownArchitecture());
}

/** A guest that is to run, and what decides about it. */
export interface InstanceSpec {
  readonly instance: LimaInstance;
  readonly network: NetworkOptions;
  /** Journal file. Absent: none. */
  readonly journal?: string;
  /** How long it may take to power off. */
  readonly stopMs: number;
  /** Called when one of Lima's own drivers may plug the guest in. */
  readonly listening?: () => void;
}

/**
 * Runs the guest until it is over, as a named sandbox that this process supervises; resolves to what it
 * failed of, if anything. What it takes is loaded now.
 *
 * @throws SbxError when it does not start
 */
export async function superviseInstance(
  { instance, network, journal, stopMs, listening }: InstanceSpec,
  launcher: Launcher,
): Promise<SbxError | undefined> {
  checkInstance(instance);
  // Whoever writes there chooses the guest's policy.
  await requireOwn(instance.dir, INSTANCE);
  const [{ keepLima }, { supervise }, { startLimaGuest }] = await Promise.all([
    import("../supervise/lima.ts"),
    import("../supervise/supervisor.ts"),
    import("../sandbox/lima_guest.ts"),
  ]);
  const options: SandboxOptions = {
    name: limaHostname(instance.name),
    cpus: instance.cpus,
    memoryMiB: Math.max(1, Math.floor(instance.memory / MIB)),
    template: false,
    mounts: [],
    env: {},
    inputs: [],
    network,
    command: `lima:${instance.name}`,
    ...(journal === undefined ? {} : { journal }),
  };
  await keepLima(placeOf(instance), options);
  return await supervise(
    instance.name,
    launcher,
    (options, signal) =>
      startLimaGuest({
        ...options,
        instance,
        stopMs,
        signal,
        ...(listening === undefined ? {} : { listening }),
      }),
  );
}

const MIB = 1 << 20;

const INSTANCE = { what: "Lima's instance in", variable: "LIMA_HOME" };

/** The program that Lima's driver is. @throws SbxError FILE_UNREADABLE, REQUIREMENT_MISSING */
export async function limaDriver(notice: (line: string) => void): Promise<string> {
  return await usableAsset("lima-driver", notice);
}

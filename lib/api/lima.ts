/**
 * Lima's guests: what `sbx lima` and Lima's driver stand on. No part of the library's public face, as
 * nobody but Lima starts these guests.
 *
 * @module
 */
import { configured } from "../guest/lima/configure.ts";
import { type LimaInstance, readInstance } from "../guest/lima/instance.ts";
import { requireGoverned } from "../guest/lima/refusals.ts";
import { ownArchitecture } from "../host/lima/machine.ts";
import { usableAsset } from "../host/usable_asset.ts";
import { authorityOf, withAuthority } from "../sandbox/lima_authority.ts";
import type { LimaGuestOptions, RunningLimaGuest } from "../sandbox/lima_guest.ts";
import type { NetworkOptions } from "../sandbox/options.ts";

export { type LimaInstance, readInstance, readLimaOptions } from "../guest/lima/instance.ts";
export { keepLimaArguments, keptLimaArguments } from "../host/lima/arguments.ts";
export { Limactl, type ListedInstance } from "../host/lima/limactl.ts";
export { installLimaDriver } from "../host/lima/driver.ts";
export type { RunningLimaGuest } from "../sandbox/lima_guest.ts";

/**
 * The instance as Lima gave it, with what a guest of sbx needs.
 *
 * @throws SbxError LIMA_INSTANCE, FILE_UNREADABLE, TLS_INVALID
 */
export async function configureInstance(
  instance: unknown,
  network: NetworkOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const { dir } = readInstance(instance);
  const authority = await authorityOf(await withAuthority(network, dir));
  return configured(instance as Record<string, unknown>, authority);
}

/** @throws SbxError LIMA_INSTANCE with all that leads around the policy */
export function checkInstance(instance: LimaInstance): void {
  requireGoverned(instance, ownArchitecture());
}

/** See `startLimaGuest`; what it takes is loaded now. */
export async function startInstance(options: LimaGuestOptions): Promise<RunningLimaGuest> {
  const { startLimaGuest } = await import("../sandbox/lima_guest.ts");
  return await startLimaGuest(options);
}

/** The program that Lima's driver is. @throws SbxError FILE_UNREADABLE, REQUIREMENT_MISSING */
export async function limaDriver(notice: (line: string) => void): Promise<string> {
  return await usableAsset("lima-driver", notice);
}

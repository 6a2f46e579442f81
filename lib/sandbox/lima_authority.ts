/**
 * Who answers for the servers that are intercepted for a guest of Lima's. The guest hears of it by its
 * cloud-init, before it boots and from another process: so where the user keeps no authority, one is kept
 * beside the guest's disk.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { SbxError } from "../base/errors.ts";
import { dataDir } from "../host/paths.ts";
import { makeAuthority } from "../tls/authority/authority.ts";
import type { TlsSettings } from "../policy/model/tls_settings.ts";
import { authorityPath } from "../tls/authority/spec.ts";
import { type AuthorityPlace, keepAuthority, keptAuthority } from "../tls/authority/store.ts";
import { openInterceptor } from "./interceptor.ts";
import type { NetworkOptions } from "./options.ts";

const INSTANCES: AuthorityPlace = {
  otherwise: "remove it, and start the guest again",
  sheltered: true,
};

/** Disks outlive years, and what was trusted on them with it. */
const DAYS = 3_650;

/**
 * The guest's own authority; undefined where the user has one, or nothing is intercepted. `directory`: the
 * instance's.
 *
 * @throws SbxError FILE_UNREADABLE, TLS_INVALID
 */
export async function ownAuthority(
  { tls, secrets }: NetworkOptions,
  directory: string,
): Promise<TlsSettings["authority"]> {
  const isChosen = tls.authority !== undefined || existsSync(authorityPath(dataDir()));
  const isNeeded = tls.intercept || secrets.secrets.length > 0;
  if (!isNeeded || isChosen) return undefined;
  const path = join(directory, "sbx-authority.pem");
  if (await keptAuthority(path, Date.now(), INSTANCES) === null) await keepOnce(path);
  return { cert: path, key: path };
}

/**
 * The certificates, in PEM, that the guest has to trust; none where nothing is intercepted.
 *
 * @throws SbxError FILE_UNREADABLE, TLS_INVALID
 */
export async function limaAuthority(
  network: NetworkOptions,
  directory: string,
): Promise<readonly string[]> {
  const own = await ownAuthority(network, directory);
  const tls = own === undefined ? network.tls : { ...network.tls, authority: own };
  return (await openInterceptor(tls, network.secrets))?.authority ?? [];
}

/** Of two at once the first one's stays. */
async function keepOnce(path: string): Promise<void> {
  try {
    await keepAuthority(path, await makeAuthority({ days: DAYS }), false);
  } catch (error) {
    if (!(error instanceof SbxError && error.code === "CA_EXISTS")) throw error;
  }
}

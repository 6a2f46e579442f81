/**
 * The values that are kept for the user, which `keychain:NAME` reads.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { misuse, optionsOf } from "../base/misuse.ts";
import { untilAborted } from "../base/until.ts";
import type { KeptIn, StoredSecret } from "../host/secret_store.ts";
import { SecretValue } from "../secret/value.ts";
import { type Abortable, signalOf } from "./abortable.ts";

export type { KeptIn, StoredSecret };

/** How a value is kept. */
export interface SetSecretOptions extends Abortable {
  /** Where, with no choice left. Absent: in the keychain, or in a file where there is none. */
  readonly keptIn?: KeptIn;
}

const KEPT_IN: readonly KeptIn[] = ["keychain", "file"];

/** Loaded when asked for: who only runs a sandbox has no use for it. */
const store = () => import("../host/secret_store.ts");

/** A value that was just kept. */
export interface KeptSecret extends StoredSecret {
  /** Why there is no keychain, where that left a file. */
  readonly fallback?: string;
}

/** The values that are kept for the user: `sbx secret` as an object. */
export interface SecretStore {
  /**
   * Keeps a value under a name, in the place of an earlier one: in the keychain, or in a private file
   * where there is none, and `fallback` says why there is none. `keptIn` leaves no choice. A keychain may ask its
   * owner before it answers.
   *
   * @throws SbxError USAGE, SECRET_INVALID, SECRET_UNAVAILABLE, FILE_UNREADABLE, and the signal's reason
   */
  set(name: string, value: string, options?: SetSecretOptions): Promise<KeptSecret>;
  /** What is kept, by name; never values. @throws SbxError SECRET_UNAVAILABLE, FILE_UNREADABLE, and the signal's reason */
  list(options?: Abortable): Promise<readonly StoredSecret[]>;
  /**
   * False when there was none of that name.
   *
   * @throws SbxError USAGE, SECRET_UNAVAILABLE, FILE_UNREADABLE, and the signal's reason
   */
  remove(name: string, options?: Abortable): Promise<boolean>;
  /**
   * Refuses what is no name, as `set` does; so that nobody types a value in vain.
   *
   * @throws SbxError USAGE
   */
  requireName(name: string): Promise<void>;
}

/** The values that are kept for the user. */
export const SecretStore: SecretStore = Object.freeze({
  async set(
    name: string,
    value: string,
    options: SetSecretOptions = {},
  ): Promise<KeptSecret> {
    const { keptIn, signal } = optionsOf("set(…)", options, { keptIn: true, signal: true });
    signal?.throwIfAborted();
    if (keptIn !== undefined && !KEPT_IN.includes(keptIn)) {
      throw misuse("set(…)", "keptIn is neither keychain nor file");
    }
    const { storeSecret } = await named(name);
    const storing = storeSecret(name, SecretValue.of(name, value).reveal(), keptIn);
    return await untilAborted(storing, signal);
  },

  async list(options: Abortable = {}): Promise<readonly StoredSecret[]> {
    const signal = signalOf("list(…)", options);
    return await untilAborted((await store()).storedSecrets(), signal);
  },

  async remove(name: string, options: Abortable = {}): Promise<boolean> {
    const signal = signalOf("remove(…)", options);
    const { removeStored } = await named(name);
    return await untilAborted(removeStored(name), signal);
  },

  async requireName(name: string): Promise<void> {
    await named(name);
  },
});

/** What stands there may be a value that somebody wrote in the wrong place, so it is not repeated. */
async function named(name: string): ReturnType<typeof store> {
  const loaded = await store();
  if (loaded.isStoredName(name)) return loaded;
  throw new SbxError("USAGE", "Cannot keep a secret under that name: it is none", {
    hint: "give letters, digits and ._@- of ASCII, up to 128, like GITHUB_TOKEN",
  });
}

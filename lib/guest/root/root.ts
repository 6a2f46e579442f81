/**
 * A guest's root file system before anything of one guest is in it. This machine's own tree makes one,
 * and so does any other system's: directories that are shared, and what is written beside them.
 *
 * @module
 */
import type { TarEntry } from "./tar.ts";
import type { TrustStores } from "./trust_stores.ts";

/** A directory of this machine that the guest sees under a writable layer of its own. One at `/` is all of the root. */
export interface RootShare {
  /** On this machine; absolute. */
  readonly path: string;
  /** In the guest; absolute. */
  readonly at: string;
  /** It holds files that only its own root may read. Absent: all of it is everybody's to read. */
  readonly isPrivate?: true;
}

export interface Root {
  readonly shares: readonly RootShare[];
  /** Symbolic links in the root itself, by name, such as `bin` to `usr/bin`. */
  readonly links: Readonly<Record<string, string>>;
  /** Root's home directory, where commands start; made if no share has it. */
  readonly home: string;
  /** What the environment of every command begins with. */
  readonly env: Readonly<Record<string, string>>;
  /** Certificates in PEM that its programs trust whoever asks. */
  readonly publicRoots: readonly string[];
  /** Where the programs of this root look for whom to trust. */
  readonly trustStores: TrustStores;
  /** What is in no share. Asked once the machine boots, which takes longer than the answer. */
  entries(): readonly TarEntry[];
}

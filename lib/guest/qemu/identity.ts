/**
 * As whom QEMU runs, and with which capabilities: as little as the guest's mounts allow. Pure.
 *
 * @module
 */

/** What is known of the calling process. */
export interface Caller {
  /** Effective user, as this process sees it. */
  readonly uid: number;
  /** Its effective capabilities, by number. */
  readonly capabilities: bigint;
  /** `/proc/self/uid_map` and `gid_map`. */
  readonly uidMap: string;
  readonly gidMap: string;
  /** Whether it may give up its supplementary groups, which user namespaces can forbid. */
  readonly setsGroups: boolean;
}

export interface Identity {
  /** Absent: QEMU runs as the caller. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** By the names that `netstack launch` knows. */
  readonly capabilities: readonly string[];
}

/** What root's QEMU has to do for the guest's mounts. */
export type FilesNeeded =
  /** Whatever is shared with the guest can be read by everybody. */
  | "public"
  /** Some of it only by root. */
  | "private"
  /** The guest writes, as root would: into directories and files of any user. */
  | "writable";

/** The user that owns nothing. */
const NOBODY = { uid: 65534, gid: 65534 };

const CAP_SETGID = 6n;
const CAP_SETUID = 7n;

/**
 * An ordinary user's QEMU runs as that user. Root's becomes nobody where it can, and else keeps what
 * its mounts need; root of a user namespace that has no nobody is an ordinary user outside of it, and
 * runs as that.
 */
export function identityOf(caller: Caller, needed: FilesNeeded): Identity {
  if (caller.uid !== 0) return { capabilities: [] };
  if (needed === "public") {
    return mayBecomeNobody(caller) ? { user: NOBODY, capabilities: [] } : { capabilities: [] };
  }
  // Without other users there are no files of others that capabilities could open.
  if (!maps(caller.uidMap, NOBODY.uid)) return { capabilities: [] };
  return {
    capabilities: needed === "private" ? ["dac_read_search"] : ["chown", "dac_override", "fowner"],
  };
}

/** Whether root can become nobody here: the user exists, and the capabilities for it are there. */
export function mayBecomeNobody(caller: Caller): boolean {
  const has = (capability: bigint) => (caller.capabilities >> capability & 1n) === 1n;
  return maps(caller.uidMap, NOBODY.uid) && maps(caller.gidMap, NOBODY.gid) &&
    caller.setsGroups && has(CAP_SETUID) && has(CAP_SETGID);
}

/** Whether a user namespace's map has the identifier: lines of first, first outside, and count. */
export function maps(map: string, id: number): boolean {
  return map.split("\n").some((line) => {
    const [first, , count] = line.trim().split(/\s+/).map(Number);
    return first !== undefined && count !== undefined && id >= first && id < first + count;
  });
}

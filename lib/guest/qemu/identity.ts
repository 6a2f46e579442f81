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
  /** `own`: a user that no other process is. Absent: QEMU runs as the caller. */
  readonly user?: "own" | { readonly uid: number; readonly gid: number };
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

/** Where `netstack launch` takes its own users from, one for each number that a process can have. */
const OWN_USERS = { first: 0x70000000, last: 0x70000000 + 2 ** 22 };

const CAP_SETGID = 6n;
const CAP_SETUID = 7n;

/**
 * An ordinary user's QEMU runs as that user. Root's becomes a user of its own where it can, nobody where
 * the user namespace has not so many users, and else keeps what its mounts need; root of a user namespace
 * that has no nobody is an ordinary user outside of it, and runs as that.
 *
 * Two of one user would be open to one another: in /proc a process has its equals' memory.
 */
export function identityOf(caller: Caller, needed: FilesNeeded): Identity {
  if (caller.uid !== 0) return { capabilities: [] };
  if (needed === "public") {
    if (!mayBecomeNobody(caller)) return { capabilities: [] };
    return { user: hasOwnUsers(caller) ? "own" : NOBODY, capabilities: [] };
  }
  // Without other users there are no files of others that capabilities could open.
  if (!maps(caller.uidMap, NOBODY.uid)) return { capabilities: [] };
  return {
    capabilities: needed === "private" ? ["dac_read_search"] : ["chown", "dac_override", "fowner"],
  };
}

/** Of a system on which QEMU is whoever calls sbx. */
export const ROOT_STAYS_ROOT = {
  state: "a QEMU of root's would have all of root's rights on this system",
  fix: "call sbx as an ordinary user",
} as const;

/** Whether root can become nobody here: the user exists, and the capabilities for it are there. */
export function mayBecomeNobody(caller: Caller): boolean {
  const has = (capability: bigint) => (caller.capabilities >> capability & 1n) === 1n;
  return maps(caller.uidMap, NOBODY.uid) && maps(caller.gidMap, NOBODY.gid) &&
    caller.setsGroups && has(CAP_SETUID) && has(CAP_SETGID);
}

/** Whether each QEMU of root's can be a user of its own. */
export function hasOwnUsers({ uidMap, gidMap }: Pick<Caller, "uidMap" | "gidMap">): boolean {
  return [uidMap, gidMap].every((map) => maps(map, OWN_USERS.first, OWN_USERS.last));
}

/** Whether a user namespace's map has the identifiers, in one range: lines of first, first outside, and count. */
export function maps(map: string, id: number, last = id): boolean {
  return map.split("\n").some((line) => {
    const [first, , count] = line.trim().split(/\s+/).map(Number);
    return first !== undefined && count !== undefined && id >= first && last < first + count;
  });
}

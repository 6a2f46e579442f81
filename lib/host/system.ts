/**
 * What sbx asks of the system that it runs on beyond what Bun and Node have: one interface, which
 * `lib/host/linux` and `lib/host/macos` implement. Whoever needs a system takes it from `own_system.ts`.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { Caller } from "../guest/qemu/identity.ts";

/** A part of a file that is no hole, in bytes from its beginning. */
export interface Extent {
  readonly from: number;
  readonly to: number;
}

/** One process, with all of its threads. */
export interface ProcessUsage {
  /** Time on processors since its start, of the system's work for it as well, in milliseconds. */
  readonly cpuMs: number;
  /** What of that was spent as the processors of a guest under KVM. */
  readonly guestCpuMs: number;
  /** Memory that is its own or shared with others, in bytes. */
  readonly rssBytes: number;
  /** The same with what is shared divided among those who do. Absent: not for this user to know. */
  readonly pssBytes?: number;
}

/** Files, by descriptors that are open. */
export interface SystemFiles {
  /** Takes the lock of an open file, which the kernel lets go when the file is closed; false when it is held. */
  tryLock(fd: number): boolean;
  /** The same beside others who do so; false while somebody has it alone. */
  tryShare(fd: number): boolean;
  /**
   * The next data of the file at or behind an offset; null where none is left. Undefined where nobody
   * knows, as the file system has no word for holes.
   */
  extentAt(fd: number, offset: number): Extent | null | undefined;
  /** Sets when the content of an open file or directory changed last; false: that cannot be done here. */
  setTime(fd: number, ns: bigint): boolean;
  /** The same for a symbolic link. */
  setLinkTime(path: Buffer, ns: bigint): boolean;
  /** Names of the extended attributes of an open file or directory that are users' own; none where there are none. */
  attributeNames(fd: number): readonly Buffer[];
  /** What one holds; null: it is gone, or not to be read. */
  attribute(fd: number, name: Buffer): Buffer | null;
  /** Sets one; false: this file system has none, or no room for it. */
  setAttribute(fd: number, name: Buffer, value: Buffer): boolean;
  /** Makes an open file another one's content, of which it shares the blocks; false where that is not possible. */
  cloneFile(to: number, from: number): boolean;
  /** A file for reading and writing that has no name; null where a directory has none. */
  openNameless(directory: string): number | null;
  /**
   * Opens a directory by an absolute path in which no link is followed; null where it leads elsewhere by now.
   *
   * @throws the system's error
   */
  openExactly(path: string): number | null;
  /** Where the names in an open directory are, if `path` is where it was opened. */
  inside(fd: number, path: Buffer): Buffer;
}

/** Unix sockets. */
export interface SystemSockets {
  /** The user who connected a Unix socket; undefined when the kernel does not say. */
  peerUser(fd: number): number | undefined;
  /** The other end of any process's Unix socket, by their inodes; undefined where the kernel does not say. */
  peerOf(inode: string): string | undefined;
  /**
   * A path that leads to the same place as one that is longer than a socket's address may be, until it is
   * closed.
   *
   * @throws the system's error
   */
  shortened(path: string): { readonly path: string; close(): void };
}

/** What this process may do. A system without capabilities gives all to root. */
export type Rights = Omit<Caller, "uid">;

/** A map of users or groups that has each as itself, as outside of any user namespace. */
export const ALL_IDS = "0 0 4294967295";

/** Bytes that a process was started with, each without the NUL at its end. */
export interface StartStrings {
  readonly arguments: readonly Uint8Array[];
  /** `NAME=value`. */
  readonly environment: readonly Uint8Array[];
}

/** Processes, this one among them. */
export interface SystemProcesses {
  /** Program and arguments of a process of this user's; null where there is none, or no way to know. */
  argumentsOf(pid: number): readonly Uint8Array[] | null;
  /** What this process was started with; null where nobody knows. */
  ownStrings(): StartStrings | null;
  /** Null: there is no such process, or no way to know. */
  usageOf(pid: number): ProcessUsage | null;
  childrenOf(pid: number): readonly number[];
  /** When a process that runs was started, which nobody after it with its number was; null: there is none. */
  startOf(pid: number): string | null;
  /** How many files this process may open in all; `hard`: after raising the limit as far as anybody may. */
  fileLimit(): { readonly soft: number; readonly hard: number };
  /** How many it has open. @throws the system's error: EMFILE where not even that can be seen */
  filesOpen(): number;
  rights(): Rights;
  /** Which boot of this machine it is; null where the system does not tell. */
  bootId(): string | null;
  /** From here on core dumps of this process, and of all that it starts, hold no memory. */
  withoutCoreDumps(): void;
  /** Whether a standard stream is the null device that the runtime has put in a closed one's place. */
  isFilledIn(fd: 0 | 1 | 2): boolean;
}

/** Where programs keep what is a user's, below his home directory. */
export interface SystemPlaces {
  readonly cache: string;
  readonly data: string;
  readonly state: string;
}

export interface HostSystem {
  readonly name: "Linux" | "macOS";
  readonly places: SystemPlaces;
  readonly files: SystemFiles;
  readonly sockets: SystemSockets;
  readonly processes: SystemProcesses;
}

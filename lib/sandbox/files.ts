/**
 * The files of a sandbox as a program sees them; no network is involved. Names follow `node:fs/promises`.
 *
 * Paths of the guest are absolute. A byte of a path that is not UTF-8 is written as U+DC80 to U+DCFF, as in
 * Python. What is done, the guest's root does; what is made belongs to the sandbox's user, or to `user`.
 *
 * @module
 */
import type { FileStat } from "../guest/files.ts";
import type { CopyReport } from "../host/tree_count.ts";

export type { FileKind, FileStat } from "../guest/files.ts";
export type { CopyReport } from "../host/tree_count.ts";

/** What every call takes. */
export interface FileOptions {
  /**
   * Aborting it gives the call up, which then rejects with its reason. Nothing is there of what would have been
   * written or copied; what `remove` and the like had done by then is done, or is being done still.
   */
  readonly signal?: AbortSignal;
}

/** Of calls that make something. */
export interface MakeOptions extends FileOptions {
  /** `NAME` or `UID` of the guest, with `:GROUP` if wanted. Absent: the sandbox's user, root if it has none. */
  readonly user?: string;
}

/** Of calls that write a file. */
export interface WriteOptions extends MakeOptions {
  /** Permission bits. Absent: those of the file that is there, 0o644 for a new one. */
  readonly mode?: number;
}

/** Of `mkdir`. */
export interface MkdirOptions extends MakeOptions {
  /** True: makes what is missing above it, too, and is content with a directory that is there. */
  readonly recursive?: boolean;
  /** Permission bits of each directory that is made. Absent: 0o755. */
  readonly mode?: number;
}

/** Of `remove`. */
export interface RemoveOptions extends FileOptions {
  /** True: a directory goes with all that is in it, mounts included. */
  readonly recursive?: boolean;
}

/** Of `readStream`. */
export interface ReadOptions extends FileOptions {
  /** Bytes from the file's beginning that are skipped. 0 when absent. */
  readonly offset?: number;
  /** The most bytes to read. Absent: all there are. */
  readonly length?: number;
}

/** One name in a directory. */
export interface FileEntry extends FileStat {
  /** Its name in the directory. */
  readonly name: string;
}

/** More is not read into memory at once: 1 GiB. */
export const MAX_READ_BYTES: number = 1 << 30;

/** More of a directory's names and facts is not listed at once: 64 MiB. */
export const MAX_LIST_BYTES: number = 64 << 20;

/**
 * The files of a sandbox. Whatever a call is about, it rejects with an {@link SbxError}: FILE_NOT_FOUND,
 * FILE_DENIED, FILE_EXISTS, FILE_NOT_EMPTY, FILE_NOT_DIRECTORY, FILE_IS_DIRECTORY, FILE_NO_SPACE,
 * FILE_UNREADABLE for what has no code of its own, USAGE for an argument that cannot be, STOPPED after the
 * sandbox's end, or whatever ended it; and with the signal's reason.
 */
export interface SandboxFiles {
  /** A file's content; links are followed. @throws SbxError FILE_TOO_LARGE above {@link MAX_READ_BYTES} */
  read(path: string, options?: FileOptions): Promise<Uint8Array>;

  /** The same as text, decoded as UTF-8 with U+FFFD for what is none. */
  readText(path: string, options?: FileOptions): Promise<string>;

  /**
   * A regular file's content, of any length. Failures come out of the stream.
   *
   * @throws SbxError USAGE, STOPPED at once
   */
  readStream(path: string, options?: ReadOptions): ReadableStream<Uint8Array>;

  /**
   * Makes a file or replaces its content; links are followed. A regular file is replaced in one step when
   * the new one is whole, keeping its mode and owner: other hard links to it keep the old content. Devices
   * and files of the kernel's are written to as they are.
   */
  write(path: string, data: string | Uint8Array, options?: WriteOptions): Promise<void>;

  /**
   * The same for content of any length. The file is there when closing the stream has resolved; of one that
   * is aborted nothing is. Failures come out of writes and of closing.
   *
   * @throws SbxError USAGE, STOPPED at once
   */
  writeStream(path: string, options?: WriteOptions): WritableStream<Uint8Array>;

  /** What is in a directory, sorted by name. @throws SbxError FILE_TOO_LARGE above {@link MAX_LIST_BYTES} */
  list(path: string, options?: FileOptions): Promise<FileEntry[]>;

  /** What a path leads to. */
  stat(path: string, options?: FileOptions): Promise<FileStat>;

  /** What has the path itself, be it a link. */
  lstat(path: string, options?: FileOptions): Promise<FileStat>;

  /** Whether the path leads to anything. Rejects when that cannot be told. */
  exists(path: string, options?: FileOptions): Promise<boolean>;

  /** Makes a directory. */
  mkdir(path: string, options?: MkdirOptions): Promise<void>;

  /** Removes a file, a link or a directory, which is to be empty unless `recursive`. */
  remove(path: string, options?: RemoveOptions): Promise<void>;

  /** Gives a file another path on the same file system, where it replaces another file. */
  rename(from: string, to: string, options?: FileOptions): Promise<void>;

  /**
   * Copies a file or a tree within the guest, with its owners, modes, times, links and holes, by the same
   * rules as {@link SandboxFiles.copyFromHost}.
   */
  copy(from: string, to: string, options?: FileOptions): Promise<void>;

  /** Sets permission bits, at most 0o7777; links are followed. */
  chmod(path: string, mode: number, options?: FileOptions): Promise<void>;

  /** Gives a file to `USER` or `USER:GROUP` of the guest; links are followed. */
  chown(path: string, user: string, options?: FileOptions): Promise<void>;

  /** Makes a symbolic link at `path` that leads to `target`, which need not be there. */
  symlink(target: string, path: string, options?: MakeOptions): Promise<void>;

  /** Where a symbolic link leads. @throws SbxError FILE_UNREADABLE for what is none */
  readlink(path: string, options?: FileOptions): Promise<string>;

  /**
   * Copies a file or a tree of this machine to the guest, with modes, times, links (as they are, never
   * followed), holes and extended attributes whose names begin with `user.`; devices, sockets and named pipes are left out. As with `cp -a`:
   *
   * - onto a directory, it goes into it under its own name; `source/.` means what is in the source
   * - onto a file, or where nothing is, it gets the path itself; what the path is in has to be there
   * - a directory is merged with one that is there already, which keeps its mode; files replace files
   * - a file does not replace a directory, nor the other way round: then nothing is changed at all
   *
   * It is put together beside its place and moved there when it is whole. What a copy that was killed
   * leaves is named `.sbx-copy-…`, may be removed, and is never copied.
   */
  copyFromHost(hostPath: string, guestPath: string, options?: MakeOptions): Promise<CopyReport>;

  /**
   * Copies a file or a tree of the guest to this machine, by the same rules. Everything belongs to the
   * caller, set-user-ID, set-group-ID and all attributes but `user.…` are dropped, directories stay open to their owner. Links that the
   * guest made are carried as they are; neither they nor a link at `hostPath` are ever followed, unless
   * `hostPath` ends in a slash. A tree that names anything outside of itself is refused whole.
   */
  copyToHost(guestPath: string, hostPath: string, options?: FileOptions): Promise<CopyReport>;
}

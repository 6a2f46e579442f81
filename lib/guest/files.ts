/**
 * What can be done with the files of a guest, over the channel to its agent: one call for each. Paths are
 * absolute, and texts of the system (see `lib/base/os_string.ts`), as are targets of links. All values but
 * the streams are plain data.
 *
 * @module
 */

import type { OpenCall } from "../wire/open_call.ts";

/** What a path is; `other` are devices, sockets and named pipes. */
export type FileKind = "file" | "directory" | "symlink" | "other";

/** What is known of a file. */
export interface FileStat {
  /** What it is. */
  readonly kind: FileKind;
  /** Bytes. */
  readonly size: number;
  /** Permission bits, with set-user-ID, set-group-ID and sticky: at most 0o7777. */
  readonly mode: number;
  /** When the content changed last, in milliseconds since 1970. */
  readonly mtimeMs: number;
  /** The number of the user that it belongs to, in the guest. */
  readonly uid: number;
  /** The number of the group that it belongs to, in the guest. */
  readonly gid: number;
  /** Where a symbolic link leads, as it is written there. */
  readonly target?: string;
}

/** Methods of docs/agent-protocol.md with their fields. `user` is whom what is made belongs to. */
export type FileRequest =
  | {
    readonly method: "read";
    readonly path: string;
    readonly offset?: number;
    readonly length?: number;
  }
  | {
    readonly method: "write";
    readonly path: string;
    readonly mode?: number;
    readonly user?: string;
  }
  | { readonly method: "stat"; readonly path: string; readonly follow: boolean }
  | { readonly method: "list"; readonly path: string }
  | { readonly method: "pack"; readonly path: string; readonly attributes: boolean }
  | {
    readonly method: "mkdir";
    readonly path: string;
    readonly recursive: boolean;
    readonly mode?: number;
    readonly user?: string;
  }
  | { readonly method: "remove"; readonly path: string; readonly recursive: boolean }
  | { readonly method: "rename" | "copy"; readonly path: string; readonly to: string }
  | { readonly method: "chmod"; readonly path: string; readonly mode: number }
  | { readonly method: "chown"; readonly path: string; readonly user: string }
  | {
    readonly method: "symlink";
    readonly path: string;
    readonly target: string;
    readonly user?: string;
  }
  | { readonly method: "unpack"; readonly path: string; readonly user?: string }
  /** Of a copy that is mounted at the path: what may have changed in it, and the content of files by their names. */
  | { readonly method: "changes"; readonly path: string; readonly digests: boolean }
  | { readonly method: "take"; readonly path: string };

/**
 * A request under way: its input is content for `write`, a tree for `unpack`, names for `take`; its output the
 * content of `read`, a tree of `pack`, `list`, `changes` and `take`. Errors name the path.
 */
export type FileCall = OpenCall;

/** Whoever has a guest's files. */
export interface FileGuest {
  /** Begins one call; failures come out of what it returns. */
  files(request: FileRequest): FileCall;
}

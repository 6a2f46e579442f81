/**
 * What a copy was made of.
 *
 * @module
 */
import type { EntryType } from "../guest/agent/tree_record.ts";

/** What a copy was made of. */
export interface CopyReport {
  /** Regular files; one with several names counts once for each. */
  readonly files: number;
  /** Directories, the copied one included. */
  readonly directories: number;
  /** Symbolic links. */
  readonly symlinks: number;
  /** Bytes of content; holes do not count. */
  readonly bytes: number;
  /** How many devices, sockets and named pipes were left out. */
  readonly leftOut: number;
  /** Up to a hundred of those, by their path below what was copied. */
  readonly leftOutPaths: readonly string[];
  /**
   * How many extended attributes (`user.…`) were left out, as the file system that the copy went to has none, or
   * no room for them.
   */
  readonly attributesLeftOut: number;
}

const MAX_PATHS = 100;

export class TreeCount {
  bytes = 0;
  attributesLeftOut = 0;
  #files = 0;
  #directories = 0;
  #symlinks = 0;
  #leftOut = 0;
  readonly #leftOutPaths: string[] = [];

  /** `path` is asked for where it is told. */
  add(type: EntryType, path: () => string): void {
    if (type === "directory") this.#directories++;
    else if (type === "symlink") this.#symlinks++;
    else if (type !== "other") this.#files++;
    else if (this.#leftOut++ < MAX_PATHS) this.#leftOutPaths.push(path());
  }

  get report(): CopyReport {
    return {
      files: this.#files,
      directories: this.#directories,
      symlinks: this.#symlinks,
      bytes: this.bytes,
      leftOut: this.#leftOut,
      leftOutPaths: this.#leftOutPaths,
      attributesLeftOut: this.attributesLeftOut,
    };
  }
}

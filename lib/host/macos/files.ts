/**
 * Files as macOS has them.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { constants, openSync } from "node:fs";
import { systemCode } from "../../base/file_error.ts";
import { posixFiles, type PosixNumbers } from "../posix_files.ts";
import type { SystemFiles } from "../system.ts";
import type { MacCalls } from "./libsystem.ts";

const { O_RDONLY, O_DIRECTORY } = constants;

const NUMBERS: PosixNumbers = {
  SEEK_DATA: 4,
  SEEK_HOLE: 3,
  UTIME_OMIT: -2n,
  AT_FDCWD: -2,
  AT_SYMLINK_NOFOLLOW: 0x20,
};

/** No link anywhere in the path is followed: ELOOP. Node has no name for it. */
const O_NOFOLLOW_ANY = 0x2000_0000;

/** `open` is the system's, save in tests. */
export function macFiles(
  calls: () => MacCalls | null,
  open: (path: string, flags: number) => number = openSync,
): SystemFiles {
  return {
    ...posixFiles(calls, NUMBERS),
    // There are some, but no names that are users' own: any may be the system's, such as the quarantine's.
    attributeNames: () => [],
    attribute: () => null,
    setAttribute: () => false,
    // clonefile(2) makes files, and fills none that is open.
    cloneFile: () => false,
    openNameless: () => null,
    openExactly(path) {
      try {
        return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW_ANY);
      } catch (cause) {
        if (systemCode(cause) === "ELOOP") return null;
        throw cause;
      }
    },
    // A path is all there is: a link that is swapped in at the right moment is followed.
    inside: (_fd, path) => Buffer.concat([path, Buffer.from("/")]),
  };
}

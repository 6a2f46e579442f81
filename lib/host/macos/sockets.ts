/**
 * Unix sockets as macOS has them.
 *
 * @module
 */
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { SystemSockets } from "../system.ts";
import type { MacCalls } from "./libsystem.ts";

export function macSockets(calls: () => MacCalls | null): SystemSockets {
  return {
    peerUser(fd) {
      const [user, group] = [new Uint32Array(1), new Uint32Array(1)];
      return calls()?.getpeereid(fd, user, group) === 0 ? user[0] : undefined;
    },
    peerOf: () => undefined,
    /** Its directory is reached by a link to it, in a directory that nobody else can write to. */
    shortened(path) {
      const directory = mkdtempSync(join(tmpdir(), "sbx-"));
      const close = () => rmSync(directory, { recursive: true, force: true });
      try {
        symlinkSync(dirname(path), join(directory, "d"));
      } catch (cause) {
        close();
        throw cause;
      }
      return { path: join(directory, "d", basename(path)), close };
    },
  };
}

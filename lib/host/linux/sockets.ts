/**
 * Unix sockets as Linux has them.
 *
 * @module
 */
import { closeSync, constants, openSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { SystemSockets } from "../system.ts";
import type { LinuxCalls } from "./libc.ts";
import { peerInode } from "./socket_diag.ts";

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

export function linuxSockets(calls: () => LinuxCalls | null): SystemSockets {
  return {
    peerUser(fd) {
      const credentials = new Uint32Array(3); // struct ucred: pid, uid, gid
      const size = Uint32Array.of(credentials.byteLength);
      const answer = calls()?.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, size);
      return answer === 0 && size[0] === credentials.byteLength ? credentials[1] : undefined;
    },
    peerOf(inode) {
      const found = calls();
      const peer = found === null ? undefined : peerInode(found, Number(inode));
      return peer === undefined ? undefined : String(peer);
    },
    /** Its directory is reached by a descriptor. */
    shortened(path) {
      const fd = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
      return { path: `/proc/self/fd/${fd}/${basename(path)}`, close: () => closeSync(fd) };
    },
  };
}

/**
 * Who is at the other end of a Unix socket, as the kernel tells everybody in its network namespace: sock_diag(7).
 *
 * @module
 */
import { closeSync } from "node:fs";
import type { LinuxCalls } from "./libc.ts";

const AF_UNIX = 1;
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_SOCK_DIAG = 4;
const MSG_DONTWAIT = 0x40;

const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 1;
const UDIAG_SHOW_PEER = 4;
const UNIX_DIAG_PEER = 2;

/** struct nlmsghdr. */
const HEAD = 16;
/** struct unix_diag_req and struct unix_diag_msg. */
const REQUEST = 24;
const ANSWER = 16;

const ANY = 0xffff_ffff;

/** By inode numbers. Undefined: it has no other end, or the kernel does not tell. */
export function peerInode(calls: LinuxCalls, inode: number): number | undefined {
  const fd = calls.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_SOCK_DIAG);
  if (fd < 0) return undefined;
  try {
    const question = peerQuestion(inode);
    if (calls.send(fd, question, question.length, 0) !== question.length) return undefined;
    // The kernel has answered by then.
    const answer = new Uint8Array(4096);
    const length = calls.recv(fd, answer, answer.length, MSG_DONTWAIT);
    return length < 0 ? undefined : peerIn(answer.subarray(0, length), inode);
  } finally {
    closeSync(fd);
  }
}

function peerQuestion(inode: number): Uint8Array {
  const bytes = new Uint8Array(HEAD + REQUEST);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, SOCK_DIAG_BY_FAMILY, true);
  view.setUint16(6, NLM_F_REQUEST, true);
  view.setUint8(HEAD, AF_UNIX);
  view.setUint32(HEAD + 4, ANY, true); // in whatever state
  view.setUint32(HEAD + 8, inode, true);
  view.setUint32(HEAD + 12, UDIAG_SHOW_PEER, true);
  view.setUint32(HEAD + 16, ANY, true); // whatever its cookie
  view.setUint32(HEAD + 20, ANY, true);
  return bytes;
}

function peerIn(answer: Uint8Array, inode: number): number | undefined {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
  if (answer.length < HEAD + ANSWER) return undefined;
  const isOfIt = view.getUint16(4, true) === SOCK_DIAG_BY_FAMILY &&
    view.getUint32(HEAD + 4, true) === inode;
  if (!isOfIt) return undefined;
  const end = Math.min(answer.length, view.getUint32(0, true));
  for (let at = HEAD + ANSWER; at + 8 <= end;) {
    const [length, kind] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
    if (kind === UNIX_DIAG_PEER && length === 8) return view.getUint32(at + 4, true) || undefined;
    at += Math.max(4, (length + 3) & ~3);
  }
  return undefined;
}

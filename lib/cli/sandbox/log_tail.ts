/**
 * The last lines of what comes in pieces. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { LogPiece } from "../../mod.ts";

const NEWLINE = 10;

/** Pieces that are held beyond what is wanted, before they are counted again. */
const SLACK = 1_024;

/** Takes one more piece to those that are held, and gives up what `lines` lines at the end do not need. */
export function tailOf(held: LogPiece[], piece: LogPiece, lines: number): void {
  held.push(piece);
  if (held.length > lines + SLACK) cutTo(held, lines);
}

/** Leaves so many lines at the end; a last line without an end is one. */
export function cutTo(held: LogPiece[], lines: number): void {
  if (lines === 0) return void held.splice(0);
  let left = lines;
  for (let at = held.length - 1; at >= 0; at--) {
    const piece = held[at];
    if (piece === undefined) continue;
    const isLast = at === held.length - 1;
    for (let end = piece.bytes.length - (isLast ? 1 : 0); end > 0; end--) {
      if (piece.bytes[end - 1] !== NEWLINE || --left > 0) continue;
      held[at] = {
        ...piece,
        offset: piece.offset + end,
        bytes: Buffer.from(piece.bytes.subarray(end)),
      };
      held.splice(0, at);
      return;
    }
  }
}

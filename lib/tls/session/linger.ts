/**
 * Closing a guest's stream so that its last bytes arrive.
 *
 * @module
 */
import type { Duplex } from "node:stream";

/** How long a guest may take to read the last bytes and to end its side. */
const LINGER_MS = 5_000;

/**
 * Ends the stream, with `last` if given, and frees it when the guest has ended too or takes too
 * long. A reset at once would overtake what is still on its way (RFC 1122 4.2.2.13).
 */
export function linger(stream: Duplex, last?: Uint8Array): void {
  if (stream.destroyed) return;
  const timer = setTimeout(() => stream.destroy(), LINGER_MS);
  stream.once("close", () => clearTimeout(timer));
  if (last === undefined) stream.end();
  else stream.end(last);
  if (stream.readableEnded) return void stream.once("finish", () => stream.destroy());
  stream.once("end", () => stream.destroy());
  stream.resume(); // what the guest still says is nobody's business
}

/**
 * Two byte streams joined to one, for what sbx relays without reading it.
 *
 * @module
 */
import type { Duplex } from "node:stream";

/**
 * Copies both ways, no faster than the slower side takes it, until both ends are done or one of them
 * breaks. Neither stream is left open. Resolves with the bytes that were relayed. `onBroken` hears
 * which of them broke, before the other is cut off for it.
 */
export function join(
  guest: Duplex,
  upstream: Duplex,
  onBroken: (side: "guest" | "upstream") => void = () => {},
): Promise<{ up: number; down: number }> {
  const { promise, resolve } = Promise.withResolvers<{ up: number; down: number }>();
  const moved = { up: 0, down: 0 };
  let open = 2;
  const closed = () => {
    if (--open === 0) resolve(moved);
  };
  const copy = (from: Duplex, to: Duplex, count: (bytes: number) => void) => {
    from.on("data", (chunk: Uint8Array) => {
      count(chunk.length);
      if (!to.write(chunk)) from.pause();
    });
    to.on("drain", () => from.resume());
    from.once("end", () => to.end());
    from.on("error", () => {}); // `close` follows
    const gone = () => {
      closed();
      // A side that is gone will never take what the other still sends.
      if (from.readableEnded) return void to.end();
      if (open > 0) onBroken(from === guest ? "guest" : "upstream");
      to.destroy();
    };
    if (from.closed) queueMicrotask(gone);
    else from.once("close", gone);
  };
  copy(guest, upstream, (bytes) => moved.up += bytes);
  copy(upstream, guest, (bytes) => moved.down += bytes);
  return promise;
}

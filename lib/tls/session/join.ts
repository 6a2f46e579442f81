/**
 * Two byte streams joined to one, for what sbx relays without reading it.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { systemClock } from "../../base/clock.ts";
import { Deadline } from "../../base/deadline.ts";
import type { SessionEnds } from "./session.ts";

type Side = Duplex & Partial<SessionEnds>;

/** Which side broke, or that nothing moved for too long. */
export type JoinEnd = "guest" | "upstream" | "idle";

/**
 * Copies both ways, no faster than the slower side takes it, until both ends are done or one of them
 * breaks. What is cut off ends as cut off on the other side, after its last byte. Neither stream is left
 * open. Resolves with the bytes that were relayed. `onEnd` hears of an end that was not in order, before
 * the other side does; `idleMs` is how long nothing may move. `admit` is asked about each piece of the
 * guest's: one that may not pass ends both sides, and nothing passes after it.
 */
export function join(
  guest: Side,
  upstream: Side,
  { onEnd = () => {}, idleMs = Infinity, admit = () => true }: {
    readonly onEnd?: (why: JoinEnd) => void;
    readonly idleMs?: number;
    readonly admit?: (bytes: Uint8Array) => boolean;
  } = {},
): Promise<{ up: number; down: number }> {
  const { promise, resolve } = Promise.withResolvers<{ up: number; down: number }>();
  const moved = { up: 0, down: 0 };
  let open = 2;
  const idle = new Deadline(systemClock, () => {
    onEnd("idle");
    guest.destroy();
    upstream.destroy();
  });
  idle.set(idleMs);
  const closed = () => {
    if (--open > 0) return;
    idle.clear();
    resolve(moved);
  };
  let stopped = false;
  const stop = () => {
    stopped = true;
    onEnd("guest");
    guest.destroy();
    upstream.destroy();
  };
  const copy = (from: Side, to: Side, count: (bytes: number) => void) => {
    from.on("data", (chunk: Uint8Array) => {
      if (stopped) return;
      if (from === guest && !admit(chunk)) return stop();
      count(chunk.length);
      idle.touch();
      if (!to.write(chunk)) from.pause();
    });
    to.on("drain", () => {
      idle.touch();
      from.resume();
    });
    const broken = () => onEnd(from === guest ? "guest" : "upstream");
    from.once("end", () => {
      if (!from.fault) return void to.end();
      broken();
      if (from.fault === "cut" && to.endCut !== undefined) to.endCut();
      else to.destroy();
      from.destroy();
    });
    from.on("error", () => {}); // `close` follows
    const gone = () => {
      closed();
      // A side that is gone will never take what the other still sends.
      if (from.readableEnded) return void to.end();
      if (open > 0) broken();
      to.destroy();
    };
    if (from.closed) queueMicrotask(gone);
    else from.once("close", gone);
  };
  copy(guest, upstream, (bytes) => moved.up += bytes);
  copy(upstream, guest, (bytes) => moved.down += bytes);
  return promise;
}

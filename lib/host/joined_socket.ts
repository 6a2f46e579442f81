/**
 * A socket of this machine joined to a connection into a guest: ends are passed on as ends, each direction
 * by itself, and what breaks on one side is reset on the other.
 *
 * @module
 */
import { once } from "node:events";
import type { Socket } from "node:net";

/** The other side. */
export interface Conduit {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  /** Rejects when it broke. */
  readonly closed: Promise<void>;
}

/** Resolves when both directions are over; never rejects. The socket allows half-open connections. */
export async function joinSocket(socket: Socket, conduit: Conduit): Promise<void> {
  socket.on("error", () => {}); // its close says it
  const broken = conduit.closed.then(() => {}, () => socket.resetAndDestroy());
  await Promise.all([send(socket, conduit), receive(conduit.readable, socket), broken]);
}

/** What the socket says, until its end. */
async function send(socket: Socket, { writable, closed }: Conduit): Promise<void> {
  const writer = writable.getWriter();
  writer.closed.catch(() => {});
  let hasEnded = false;
  socket.on("data", (bytes: Uint8Array) => {
    socket.pause();
    // A server that takes no more may still say something, so the socket stays, unread; once it has said all, only
    // the socket's end is waited for, which stands behind what nobody reads.
    writer.write(bytes).catch(() => closed).then(() => socket.resume(), () => {});
  });
  socket.once("end", () => {
    hasEnded = true;
    writer.close().catch(() => {});
  });
  await once(socket, "close").catch(() => {});
  if (!hasEnded) await writer.abort().catch(() => {});
}

/** What the socket hears. It is as slow as its peer reads. */
async function receive(from: ReadableStream<Uint8Array>, socket: Socket): Promise<void> {
  try {
    for await (const bytes of from) {
      if (socket.destroyed) return; // leaving cancels it
      if (!socket.write(bytes)) await drained(socket);
    }
    socket.end();
  } catch {
    // The conduit broke, which resets the socket.
  }
}

async function drained(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once("drain", resolve);
  socket.once("close", resolve);
  await promise;
  socket.off("drain", resolve);
  socket.off("close", resolve);
}

/**
 * A connection of this machine's to a server in the guest, over the host-guest channel.
 *
 * @module
 */
import { misuse, optionsOf } from "../base/misuse.ts";
import type { OpenCall } from "../wire/open_call.ts";

/** A TCP connection to a server in the guest, which sees a peer of its own machine. */
export interface GuestConnection {
  /** What the server sends; its end is the server's. It fails as `closed` does. */
  readonly readable: ReadableStream<Uint8Array>;
  /** What it is sent. Closing it is an end that the server sees, and may answer; aborting it is a reset. */
  readonly writable: WritableStream<Uint8Array>;
  /**
   * Resolves when both directions have ended. Rejects with an SbxError: `CONNECTION_REFUSED` when nobody
   * listens, `CONNECTION_RESET` when the server broke it off or it was aborted here, or what the sandbox
   * ended for.
   */
  readonly closed: Promise<void>;
}

/** For a connection. */
export interface ConnectOptions {
  /** Aborting it resets the connection. */
  readonly signal?: AbortSignal;
}

/** @throws SbxError USAGE, and the signal's reason */
export function connectionTo(
  port: number,
  options: ConnectOptions,
  open: (port: number) => OpenCall,
): GuestConnection {
  const { signal } = optionsOf("connect(…)", options, { signal: true });
  requireGuestPort(`connect(${port})`, port);
  signal?.throwIfAborted();
  const { input, output, done, giveUp } = open(port);
  signal?.addEventListener("abort", giveUp, { once: true });
  const lift = () => signal?.removeEventListener("abort", giveUp);
  const closed = done.then(() => {}).finally(lift);
  closed.catch(() => {}); // whoever uses the streams has the error from there
  return { readable: output, writable: input, closed };
}

/** @throws SbxError USAGE */
export function requireGuestPort(call: string, port: number): void {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw misuse(call, "ports are 1 to 65535");
  }
}

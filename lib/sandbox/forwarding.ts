/**
 * A port of this machine that leads to one of the guest over the host-guest channel.
 *
 * @module
 */
import { misuse } from "../base/misuse.ts";
import { type Forwarder, listenAndForward } from "../host/forwarder.ts";
import type { GuestConnection } from "./connection.ts";
import type { Publication, PublishedPort } from "./options.ts";
import { requirePublication } from "./publication.ts";

/** What listens for `forward`. */
export interface Forwarding extends PublishedPort, AsyncDisposable {
  /** Listens no more, and resets the connections that came in there. */
  close(): void;
}

/** Where it listens unless it is told: nobody but this machine is let in. */
const LOOPBACK = "127.0.0.1";

/** @throws SbxError USAGE, PORT_BUSY, PORT_UNAVAILABLE, and the signal's reason */
export async function forward(
  publication: Publication,
  connect: (port: number) => GuestConnection,
  signal?: AbortSignal,
): Promise<Forwarding> {
  const { bind: address = LOOPBACK, hostPort, guestPort, protocol } = requirePublication(
    publication,
    "forward",
  );
  if (protocol !== "tcp") {
    throw misuse("forward(…)", "datagrams are not forwarded", { hint: "publish the port" });
  }
  signal?.throwIfAborted();
  const forwarder: Forwarder = await listenAndForward({
    address,
    port: hostPort,
    connect: () => connect(guestPort),
  });
  if (signal?.aborted) forwarder.close();
  signal?.throwIfAborted();
  return {
    address,
    port: forwarder.port,
    guestPort,
    protocol,
    close: () => forwarder.close(),
    // deno-lint-ignore require-await -- the interface wants a promise
    [Symbol.asyncDispose]: async () => forwarder.close(),
  };
}

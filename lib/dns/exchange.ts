/**
 * One question to one resolver: the only file here that has sockets.
 *
 * Each UDP question has a socket of its own, so that its source port is as random as its id (RFC
 * 5452 §9.2), connected, so that the kernel drops what comes from elsewhere and reports a closed
 * port at once.
 *
 * @module
 */
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import type { Message } from "./wire/message.ts";
import { frameTcp, TcpDeframer } from "./wire/tcp_framing.ts";

/** Where to ask. */
export interface Resolver {
  readonly address: string;
  readonly port: number;
}

/** Sends the query; `read` tells the answer from strangers' messages, which it gives null for. */
export type Exchange = (
  resolver: Resolver,
  query: Uint8Array,
  read: (bytes: Uint8Array) => Message | null,
  signal: AbortSignal,
) => Promise<Message>;

/** The two transports; both reject when the resolver cannot be reached or `signal` aborts. */
export interface Exchanges {
  readonly udp: Exchange;
  readonly tcp: Exchange;
}

/** Somebody is guessing ids: TCP, which takes a sequence number as well, is what is left. */
export class UnderAttack extends Error {
  override readonly name = "UnderAttack";
}

/** Wrong guesses that a resolver's own late or confused answers can explain. */
const MAX_STRANGERS = 16;

export const socketExchanges: Exchanges = { udp: exchangeUdp, tcp: exchangeTcp };

function exchangeUdp(...[resolver, query, read, signal]: Parameters<Exchange>): Promise<Message> {
  const { promise, resolve, reject } = Promise.withResolvers<Message>();
  const socket = createSocket(isIPv6(resolver.address) ? "udp6" : "udp4");
  let open = true;
  let strangers = 0;
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  socket.on("error", reject);
  socket.on("message", (bytes) => {
    const message = read(bytes);
    if (message !== null) resolve(message);
    else if (++strangers === MAX_STRANGERS) reject(new UnderAttack());
  });
  socket.connect(resolver.port, resolver.address, () => {
    if (open) socket.send(query);
  });
  return promise.finally(() => {
    open = false;
    signal.removeEventListener("abort", abort);
    socket.close();
  });
}

function exchangeTcp(...[resolver, query, read, signal]: Parameters<Exchange>): Promise<Message> {
  const { promise, resolve, reject } = Promise.withResolvers<Message>();
  const socket = connect({ host: resolver.address, port: resolver.port, noDelay: true });
  const deframer = new TcpDeframer();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  socket.on("connect", () => socket.write(frameTcp(query)));
  socket.on("error", reject);
  socket.on("close", () => reject(new Error("connection closed before the answer")));
  socket.on("data", (bytes: Uint8Array) => {
    try {
      for (const message of deframer.push(bytes)) {
        const answer = read(message);
        if (answer === null) reject(new Error("answer to another question"));
        else resolve(answer);
      }
    } catch (error) {
      reject(error);
    }
  });
  return promise.finally(() => {
    signal.removeEventListener("abort", abort);
    socket.destroy();
  });
}

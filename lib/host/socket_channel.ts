/**
 * A {@link ByteChannel} over an inherited socket. What the kernel does not take at once is queued
 * here, so that writers never lose bytes; they hold back when told to.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { ByteChannel, ChannelSink } from "../wire/channel.ts";

/** More than this unsent asks writers to wait. */
const HIGH_WATER = 1 << 20;

/** Takes the descriptor over: it is closed with the channel. */
export function socketChannel(fd: number): ByteChannel {
  return new SocketChannel(fd);
}

class SocketChannel implements ByteChannel {
  readonly #fd: number;
  #socket: Bun.Socket<undefined> | undefined;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #closing = false;
  #closed = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  start(sink: ChannelSink): void {
    const close = (error?: Error) => {
      if (this.#closed) return;
      this.#closed = true;
      this.#queue = [];
      sink.close(error);
    };
    const handlers: Bun.SocketHandler<undefined> = {
      open: (socket) => {
        this.#socket = socket;
        this.#flush();
      },
      data: (_socket, bytes) => sink.data(bytes),
      drain: () => {
        const held = this.#queued > HIGH_WATER;
        this.#flush();
        if (held && this.#queued <= HIGH_WATER) sink.drain();
      },
      end: () => close(),
      close: () => close(),
      error: (_socket, error) => close(error),
    };
    const options = { fd: this.#fd, socket: handlers };
    Bun.connect(options as unknown as Bun.UnixSocketOptions<undefined>).catch(close);
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closed || this.#closing) return true;
    this.#flush();
    const sent = this.#queue.length > 0 ? 0 : this.#offer(bytes);
    if (sent < bytes.length) {
      this.#queue.push(Buffer.from(bytes.subarray(sent)));
      this.#queued += bytes.length - sent;
    }
    return this.#queued <= HIGH_WATER;
  }

  close(): void {
    this.#closing = true;
    this.#flush();
  }

  #flush(): void {
    if (this.#socket === undefined || this.#closed) return;
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      const sent = this.#offer(head);
      this.#queued -= sent;
      if (sent < head.length) {
        this.#queue[0] = head.subarray(sent);
        return;
      }
      this.#queue.shift();
    }
    if (this.#closing) this.#socket.end();
  }

  /** How many of the bytes the kernel takes at once; none before the socket is open. */
  #offer(bytes: Uint8Array): number {
    return Math.max(0, this.#socket?.write(bytes) ?? 0);
  }
}

/** The last bytes of a stream as text, for error messages. */
export class Tail {
  #text = "";
  readonly #limit: number;
  constructor(limit = 8192) {
    this.#limit = limit;
  }
  push(bytes: Uint8Array): void {
    this.#text = (this.#text + Buffer.from(bytes).toString("latin1")).slice(-this.#limit);
  }
  get text(): string {
    return this.#text;
  }
}

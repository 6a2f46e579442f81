/**
 * An inherited socket as a Duplex, which is what calls are served on.
 *
 * @module
 */
import { Duplex } from "node:stream";
import type { ByteChannel } from "../wire/channel.ts";
import { socketChannel } from "./socket_channel.ts";

/** Takes the descriptor over: it is closed with the stream. */
export function channelStream(fd: number): Duplex {
  return new ChannelStream(socketChannel(fd));
}

class ChannelStream extends Duplex {
  readonly #channel: ByteChannel;
  #goOn: (() => void) | undefined;

  constructor(channel: ByteChannel) {
    super({ allowHalfOpen: false });
    this.#channel = channel;
    channel.start({
      data: (bytes) => void this.push(Uint8Array.from(bytes)), // its bytes are good during the call alone
      drain: () => {
        const goOn = this.#goOn;
        this.#goOn = undefined;
        goOn?.();
      },
      close: (error) => {
        if (error === undefined) this.push(null);
        this.destroy(error);
      },
    });
  }

  override _read(): void {} // what comes is pushed as it comes: the other end is the program that started this one

  override _write(bytes: Uint8Array, _encoding: string, done: () => void): void {
    if (this.#channel.write(bytes)) done();
    else this.#goOn = done;
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#channel.close();
    done(error);
  }
}

/**
 * A byte stream between processes, stripped to what the protocols need. The socket behind it lives
 * in `lib/host`; tests join two ends in memory.
 *
 * @module
 */

/** Where a channel delivers what it receives. Bytes are only valid during the call. */
export interface ChannelSink {
  data(bytes: Uint8Array): void;
  /** After a `write` answered false: there is room again. */
  drain(): void;
  /** Called once, whoever closed. Without an error it was an orderly end of stream. */
  close(error?: Error): void;
}

export interface ByteChannel {
  /** Attaches the receiver; to be called exactly once. Bytes that came before are not lost. */
  start(sink: ChannelSink): void;
  /**
   * Takes all bytes, in order; the caller may overwrite them afterwards. False asks it to hold back
   * until `drain`.
   */
  write(bytes: Uint8Array): boolean;
  /** Ends both directions after what was written. */
  close(): void;
}

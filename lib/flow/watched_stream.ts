/**
 * One TCP flow that sbx relays because all that its guest says is looked at, and nothing else of it read:
 * what is said to a proxy, whose requests are for others.
 *
 * @module
 */
import { join } from "../tls/session/join.ts";
import { dialServed, type ServedStreamSpec } from "./dial_served.ts";

export interface WatchedStreamSpec extends ServedStreamSpec {
  /** Whether a piece may pass. After the first that may not, both sides are closed. */
  readonly admit: (bytes: Uint8Array) => boolean;
}

/** Serves the flow until it ends; never rejects. */
export async function relayWatched(spec: WatchedStreamSpec): Promise<void> {
  const { stream, admit, onEnd } = spec;
  const server = await dialServed(spec);
  if (server === null) return;
  await join(stream, server, {
    admit,
    onEnd: (why) => onEnd(why === "idle" ? why : `reset-${why}`),
  });
  onEnd("eof");
}

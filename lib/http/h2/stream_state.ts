/**
 * The states of a stream (RFC 9113 5.1), by the names that the RFC gives them. Pure: one table says what
 * a frame does that a peer sends, another what one does that we send.
 *
 * What is closed is closed in one of several ways, because the RFC treats late frames by how:
 *
 * ```
 * closed          both sides said END_STREAM
 * reset sent      we gave it up; what crossed our reset is discarded
 * reset received  the peer gave it up, and has nothing more to say on it
 * passed over     never used: the peer began a later one first (5.1.1)
 * forgotten       closed so long ago that nobody knows how
 * ```
 *
 * @module
 */
import { Code } from "./frame.ts";

export type Live = "open" | "half-closed (local)" | "half-closed (remote)";
export type Closed = "closed" | "reset sent" | "reset received" | "passed over" | "forgotten";
export type StreamState = "idle" | Live | Closed;

/** Frames that belong to a stream. CONTINUATION belongs to the HEADERS before it. */
export type StreamFrame = "DATA" | "HEADERS" | "PRIORITY" | "RST_STREAM" | "WINDOW_UPDATE";

export type Effect =
  | { readonly kind: "take"; readonly state: StreamState }
  /** Counted and forgotten; nothing changes. */
  | { readonly kind: "discard" }
  /** Of the stream alone, or of the whole connection (RFC 9113 5.4). */
  | { readonly kind: "error"; readonly of: "stream" | "connection"; readonly code: number };

const DISCARD: Effect = { kind: "discard" };
const IDLE: Effect = { kind: "error", of: "connection", code: Code.Protocol };
const CLOSED: Effect = { kind: "error", of: "stream", code: Code.StreamClosed };
/** 5.1, "closed": a peer that ended a stream knows that it did. */
const LONG_CLOSED: Effect = { kind: "error", of: "connection", code: Code.StreamClosed };

/** What a frame means that the peer sends on a stream in this state. `end`: with END_STREAM. */
export function receive(state: StreamState, frame: StreamFrame, end: boolean): Effect {
  if (frame === "PRIORITY") return DISCARD; // allowed in every state (6.3), and heeded in none
  switch (state) {
    case "idle":
      if (frame !== "HEADERS") return IDLE;
      return take(end ? "half-closed (remote)" : "open");
    case "open":
    case "half-closed (local)":
      if (frame === "RST_STREAM") return take("reset received");
      return take(end && frame !== "WINDOW_UPDATE" ? afterTheirEnd(state) : state);
    case "half-closed (remote)":
      if (frame === "RST_STREAM") return take("reset received");
      return frame === "WINDOW_UPDATE" ? take(state) : CLOSED;
    case "closed":
      // These may have crossed our END_STREAM.
      return frame === "WINDOW_UPDATE" || frame === "RST_STREAM" ? DISCARD : LONG_CLOSED;
    case "reset received":
      // 5.4.2: a reset is never answered with another. Credit may have been on its way before it: a
      // proxy's two sides are not in step, and it costs nobody anything.
      return frame === "WINDOW_UPDATE" || frame === "RST_STREAM" ? DISCARD : CLOSED;
    case "reset sent":
    case "forgotten": // which may have been the same
      return DISCARD;
    case "passed over":
      // 5.1.1: an identifier that is not above all before it. Others than HEADERS are as on an idle one.
      return IDLE;
  }
}

/** The state after we send a frame; null when we must not. */
export function send(
  state: StreamState,
  frame: Exclude<StreamFrame, "PRIORITY">,
  end: boolean,
): StreamState | null {
  switch (state) {
    case "idle":
      return frame === "HEADERS" ? (end ? "half-closed (local)" : "open") : null;
    case "open":
    case "half-closed (remote)":
      if (frame === "RST_STREAM") return "reset sent";
      return end && frame !== "WINDOW_UPDATE" ? afterOurEnd(state) : state;
    case "half-closed (local)":
      if (frame === "RST_STREAM") return "reset sent";
      return frame === "WINDOW_UPDATE" ? state : null;
    default:
      return null;
  }
}

export function isLive(state: StreamState): state is Live {
  return state === "open" || state === "half-closed (local)" || state === "half-closed (remote)";
}

function afterTheirEnd(state: "open" | "half-closed (local)"): StreamState {
  return state === "open" ? "half-closed (remote)" : "closed";
}

function afterOurEnd(state: "open" | "half-closed (remote)"): StreamState {
  return state === "open" ? "half-closed (local)" : "closed";
}

function take(state: StreamState): Effect {
  return { kind: "take", state };
}

/**
 * The states of an HTTP/1 relay, and what leads from one to the next. Pure.
 *
 * ```
 * idle        no request, nor any part of one
 * reading     a part of a head has come
 * judging     a head has come, and the gate has not said what becomes of it
 * sending     the request was sent on, and its body still comes; the answer may have begun
 * answering   the request was sent on in full, and the answer is not whole
 * half-closed the same, and it is the last: the guest sends no more
 * answered    the answer is whole, and the request's body still comes
 * tunnel      after a proven 101, or a 2xx to CONNECT: bytes both ways, half-closed either way
 * closing     see conduit.ts
 *
 * idle ⇄ reading → judging → sending → answering → idle
 *                     │  │      └─► answered ─────► idle
 *                     │  └────────► answering ─► half-closed, tunnel ─► idle
 *                     └─ refused ─► closing, as from everywhere
 * ```
 *
 * @module
 */
import type { H1Exchange } from "./exchange.ts";
import type { H1Request } from "./request.ts";

export type H1State =
  /** `served`: an exchange came before on this connection. */
  | { readonly name: "idle" | "reading"; readonly served: boolean }
  /** `since`: when its head was whole. */
  | {
    readonly name: "judging";
    readonly served: boolean;
    readonly request: H1Request;
    readonly since: number;
  }
  | Underway
  | { readonly name: "closing" };

/** The request whose turn it is was sent on. */
export interface Underway {
  readonly name: "sending" | "answering" | "half-closed" | "answered" | "tunnel";
  readonly served: boolean;
  readonly exchange: H1Exchange;
}

export type H1Event =
  | { readonly kind: "head begins" }
  /** What seemed to begin one was an empty line before it. */
  | { readonly kind: "head vanishes" }
  | { readonly kind: "head ends"; readonly request: H1Request; readonly since: number }
  | { readonly kind: "request passes"; readonly exchange: H1Exchange }
  | { readonly kind: "request ends" }
  | { readonly kind: "guest ends" }
  | { readonly kind: "answer ends" }
  | { readonly kind: "protocol switches" }
  /** In a tunnel, whose two ends turn out to speak HTTP. */
  | { readonly kind: "requests follow" }
  | { readonly kind: "relay closes" };

export const FIRST: H1State = { name: "idle", served: false };
const BETWEEN: H1State = { name: "idle", served: true };
const CLOSING: H1State = { name: "closing" };

/** What is not said of an event in a state leaves that as it is. */
export function next(state: H1State, event: H1Event): H1State {
  if (event.kind === "relay closes") return CLOSING;
  switch (state.name) {
    case "idle":
    case "reading": {
      const { served } = state;
      if (event.kind === "head begins") return { name: "reading", served };
      if (event.kind === "head vanishes") return { name: "idle", served };
      if (event.kind !== "head ends") return state;
      return { name: "judging", served, request: event.request, since: event.since };
    }
    case "judging": {
      if (event.kind !== "request passes") return state;
      const { exchange } = event;
      const name = exchange.requestDone ? "answering" : "sending";
      return { name, served: state.served, exchange };
    }
    case "sending":
      if (event.kind === "request ends") return { ...state, name: "answering" };
      return event.kind === "answer ends" ? { ...state, name: "answered" } : state;
    case "answering":
      if (event.kind === "guest ends") return { ...state, name: "half-closed" };
      if (event.kind === "protocol switches") return { ...state, name: "tunnel" };
      return event.kind === "answer ends" ? BETWEEN : state;
    case "answered":
      return event.kind === "request ends" ? BETWEEN : state;
    case "half-closed":
      // A guest that asked for a WebSocket or a tunnel, and ended: bytes of the server may still come.
      if (event.kind === "protocol switches") return { ...state, name: "tunnel" };
      return event.kind === "answer ends" ? BETWEEN : state;
    case "tunnel":
      return event.kind === "requests follow" ? BETWEEN : state;
    case "closing":
      return state;
  }
}

/** The request that was sent on and is not over; null when there is none. */
export function underway(state: H1State): Underway | null {
  switch (state.name) {
    case "idle":
    case "reading":
    case "judging":
    case "closing":
      return null;
    default:
      return state;
  }
}

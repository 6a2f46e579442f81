/**
 * What an HTTP/2 session needs, and what it has to tell: what the peer does, as values in their order; what
 * becomes of that which is sent, to a sink, because it happens in the middle of the sender's own steps.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { HttpLimits } from "../exchange.ts";
import type { Field } from "../fields.ts";
import type { Windows } from "./inflow.ts";

/** Something that the peer did, of which its user has to know. */
export type H2Event =
  /** Its first settings are known. */
  | { readonly kind: "settings" }
  /** A header block: a head, or trailers when `end`. Null: more than the limits allow. */
  | {
    readonly kind: "headers";
    readonly stream: number;
    readonly fields: readonly Field[] | null;
    readonly end: boolean;
  }
  /** Content; to be acknowledged by `consumed` once it needs no more memory. */
  | {
    readonly kind: "data";
    readonly stream: number;
    readonly bytes: Buffer;
    readonly end: boolean;
  }
  /** It gave the stream up, or broke its rules and was told so. */
  | { readonly kind: "reset"; readonly stream: number; readonly code: number }
  /** Nothing more will be sent or received on the stream, which it ended last. */
  | { readonly kind: "closed"; readonly stream: number }
  | { readonly kind: "goaway"; readonly last: number; readonly code: number }
  | { readonly kind: "ping"; readonly payload: Buffer; readonly ack: boolean };

/** What becomes of what is sent. */
export interface SendSink {
  /** Content that was queued here is on its way (or will never be). */
  sent(stream: number, bytes: number): void;
  /** Everything that was queued for the stream was sent, its end included. */
  finished(stream: number): void;
  /** Nothing more will be sent or received on the stream, which we ended last. */
  closed(stream: number): void;
}

export interface SessionSpec {
  readonly role: "server" | "client";
  /** By which a trace names it. */
  readonly name: string;
  readonly limits: HttpLimits;
  readonly windows: Windows;
  readonly now: () => number;
  readonly sink: SendSink;
  readonly write: (...parts: readonly Buffer[]) => void;
}

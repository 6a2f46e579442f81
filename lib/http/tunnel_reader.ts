/**
 * What is asked about a tunnel that a proxy granted: who answers CONNECT need not be a proxy, and what
 * travels inside may state a name as well as anything else.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { Refusal } from "./exchange.ts";

/** What becomes of a piece that a guest sends into a tunnel. */
export type TunnelStep =
  /** It waits for more. */
  | { readonly kind: "held" }
  /** What has come, with what waited, goes on. */
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  /** The tunnel has requests in it, from these bytes on. */
  | { readonly kind: "requests"; readonly bytes: Buffer }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export interface TunnelReader {
  push(bytes: Buffer): TunnelStep;
  /** The other end said something. */
  heard(): void;
  /** The guest says no more; what waited must not go on. */
  end(): Refusal | null;
}

/** Lets everything pass. */
export const UNREAD: TunnelReader = {
  push: (bytes) => ({ kind: "bytes", bytes }),
  heard: () => {},
  end: () => null,
};

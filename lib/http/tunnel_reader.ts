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
  /**
   * The other end said something. `spoken`: some of it was no content that the answer to CONNECT had stated,
   * which a server that is no proxy sends whatever it hears. True when what waited is to be looked at again,
   * by a push of nothing.
   */
  heard(bytes: Buffer, spoken: boolean): boolean;
  /** The guest says no more; what waited must not go on. */
  end(): Refusal | null;
}

/** Lets everything pass. */
export const UNREAD: TunnelReader = {
  push: (bytes) => ({ kind: "bytes", bytes }),
  heard: () => false,
  end: () => null,
};

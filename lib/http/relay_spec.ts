/**
 * What a relay needs, whatever the version of HTTP.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import type { Clock } from "../base/clock.ts";
import type { Destination } from "./authority.ts";
import type { Exchange, HttpLimits, Refusal, RelayEnd } from "./exchange.ts";
import type { RequestGate } from "./gate.ts";
import type { TunnelReader } from "./tunnel_reader.ts";

/** The server's side. */
export type Upstream =
  | {
    readonly kind: "open";
    readonly stream: Duplex;
    /** HTTP/2: it was sent its greeting already (`serverGreeting`). */
    readonly greeted?: boolean;
  }
  /** There is none: every request is answered with the refusal. */
  | { readonly kind: "failed"; readonly refusal: Refusal };

export interface RelaySpec {
  /** Plain bytes of the guest, from the first of its first request on. Owned by the relay. */
  readonly guest: Duplex;
  readonly upstream: Upstream;
  /** What both sides speak. */
  readonly protocol: "http/1.1" | "h2";
  /** What every request has to state. */
  readonly destination: Destination;
  readonly gate: RequestGate;
  /** HTTP/1: asked about each piece of the guest's, before it is read. One that may not pass ends both sides. */
  readonly admit?: (bytes: Uint8Array) => boolean;
  /** HTTP/1: asked for each tunnel that a proxy granted. Absent: what is in it passes unread. */
  readonly tunnel?: () => TunnelReader;
  /** Told of every request once, when it is over. */
  readonly onExchange: (exchange: Exchange) => void;
  /** Told once, before either side is closed. */
  readonly onEnd?: (end: RelayEnd) => void;
  readonly limits?: Partial<HttpLimits>;
  readonly clock?: Clock;
  /** By which a trace names the connection: its flow's number. */
  readonly id?: number;
}

/** The spec with its defaults filled in. */
export interface RelayContext extends RelaySpec {
  readonly limits: HttpLimits;
  readonly clock: Clock;
}

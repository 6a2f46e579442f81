/**
 * What is told of the secrets of a running sandbox: names, hosts, places and counts, never values.
 *
 * @module
 */

import type { Place } from "../policy/model/secret.ts";
import type { Sighting } from "./tripwire.ts";

/** What one request did with one secret. */
export interface SecretUse {
  readonly name: string;
  readonly host: string;
  /**
   * `sent`: the value went out. `inert`: the placeholder went to a host of its own, where no value comes.
   * `masked`: the value stood in the answer, and the guest got the placeholder.
   */
  readonly what: "sent" | "inert" | "masked";
  readonly place: Place | "elsewhere";
  readonly count: number;
}

/** By what a placeholder was on its way to where it does not belong. */
export type Route =
  | "request" // a request that sbx reads, head or body
  | "tunnel" // what follows an upgrade
  | "tls-name" // the name in a ClientHello
  | "stream" // the first bytes of any other TCP
  | "datagram"
  | "dns"; // a name that is asked for

export interface SecretViolation {
  readonly sightings: readonly Sighting[];
  readonly route: Route;
  /** Of the flow, where there is one. */
  readonly flow?: number;
  /** Whom it was for: a name, or `address:port`. */
  readonly to: string;
}

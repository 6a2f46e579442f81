/**
 * What is known of a flow by what its guest says first.
 *
 * @module
 */
import type { Route } from "../secret/report.ts";
import type { Sighting } from "../secret/tripwire.ts";
import type { ClientHello } from "../tls/client_hello.ts";
import type { Ruling } from "./ruling.ts";

/** Placeholders where they do not belong, and by what they were on their way. */
export interface Carried {
  readonly sightings: readonly Sighting[];
  readonly route: Route;
}

export interface FirstJudgement {
  readonly ruling: Ruling;
  /** The name in the bytes. */
  readonly stated: string | undefined;
  /** What an intercepted flow said. */
  readonly hello?: ClientHello;
  /** It passes as the TLS that it is. */
  readonly tls?: true;
  /** Placeholders in the bytes; it is denied then, for that or for another reason. */
  readonly carried?: Carried;
}

/**
 * What the network of one sandbox is made of, and what it can be told.
 *
 * @module
 */
import type { SbxError } from "../base/errors.ts";
import type { Link } from "../base/link.ts";
import type { KnownNames } from "../dns/known_names.ts";
import type { Pins } from "../dns/pins.ts";
import type { Resolver } from "../dns/upstream.ts";
import type { HostNetwork } from "../host/network.ts";
import type { Denial } from "../journal/denials.ts";
import type { Journal } from "../journal/journal.ts";
import type { NetworkSummary } from "../journal/summary.ts";
import type { NameSet } from "../policy/model/name_set.ts";
import type { Policy } from "../policy/model/policy.ts";
import type { Vault } from "../secret/vault.ts";
import type { ByteChannel } from "../wire/channel.ts";
import type { Interceptor } from "./interceptor.ts";
import type { Publication, PublishedPort } from "./options.ts";
import type { AskGuest } from "./unheard.ts";

export interface NetworkSpec {
  /** netstack's ends; the network owns them from here on. */
  readonly control: ByteChannel;
  readonly flows: ByteChannel;
  readonly link: Link;
  readonly policy: Policy;
  /** Names that never resolve. */
  readonly blocked: NameSet;
  /** Refuses known DNS-over-HTTPS services. */
  readonly blockDoh?: boolean;
  readonly rebindProtection: boolean;
  /** Names that no resolver is asked for. */
  readonly known?: KnownNames;
  /** Empty: no name resolves. */
  readonly resolvers: readonly Resolver[];
  readonly dnsTimeoutMs: number;
  /** Absent: nothing is intercepted. */
  readonly interceptor?: Interceptor;
  /** Absent: the guest has no secrets. */
  readonly vault?: Vault;
  /** TCP and UDP flows at once. Absent: what netstack can hold. */
  readonly maxConnections?: number;
  readonly newFlowsPerSecond?: number;
  /** Asks for servers on the guest's loopback. Absent: there are none. */
  readonly askGuest?: AskGuest;
  /** This machine's addresses and networks; asked again every few seconds. */
  readonly host: () => HostNetwork;
  readonly journal: Journal;
  readonly onDenial: (denial: Denial) => void;
  readonly onNotice: (line: string) => void;
  /** Something happened that ends the sandbox. */
  readonly onTerminate: (error: SbxError) => void;
}

export interface Network {
  readonly pins: Pins;
  /** Settles when the network is over: with an error unless `close` was called. */
  readonly closed: Promise<SbxError | undefined>;
  /**
   * Listens on ports of this machine for the guest.
   *
   * @throws SbxError PORT_BUSY, PORT_UNAVAILABLE
   */
  publish(publication: Publication): Promise<PublishedPort[]>;
  /** Replaces the policy. Flows that it does not allow are cut at once. */
  setPolicy(policy: Policy): void;
  summary(): NetworkSummary;
  close(): void;
}

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
import type { JudgedFlow } from "../flow/flow_table.ts";
import type { Denial } from "../journal/denials.ts";
import type { Journal } from "../journal/journal.ts";
import type { NetworkSummary } from "../journal/summary.ts";
import type { JudgedSettings } from "../judge/snapshot.ts";
import type { NameSet } from "../policy/model/name_set.ts";
import type { Pin, Policy } from "../policy/model/policy.ts";
import type { Vault } from "../secret/vault.ts";
import type { TrustSpec } from "../tls/session/dial.ts";
import type { ByteChannel } from "../wire/channel.ts";
import type { Interceptor } from "./interceptor.ts";
import type { NetworkCounts } from "./network_counts.ts";
import type { Publication, PublishedPort } from "./options.ts";
import type { PublisherRequest } from "./publisher.ts";
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
  /** A port of the guest that is always open to this machine's loopback; see `JudgedSettings`. */
  readonly wayIn?: number;
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

/** Other settings, with all that is read from files: nothing about them can fail any more. */
export interface NetworkChange extends Omit<JudgedSettings, "vault" | "wayIn"> {
  /** Whom servers are proved by. Absent where nothing is intercepted. */
  readonly trust?: TrustSpec;
  /** Present when resolvers are to be asked in another way than until now. */
  readonly upstream?: {
    readonly resolvers: readonly Resolver[];
    readonly timeoutMs: number;
    /** They are not those that were asked until now. */
    readonly elsewhere: boolean;
  };
}

export interface Reconsidered {
  /** Every open flow with its ruling: `deny` cuts it. */
  readonly flows: readonly JudgedFlow[];
  /** Pins that would not have been made. */
  readonly forgotten: readonly Pin[];
}

export interface Network {
  readonly pins: Pins;
  /** Settles when the network is over: with an error unless `close` was called. */
  readonly closed: Promise<SbxError | undefined>;
  /** What listens on this machine now. */
  readonly published: readonly PublishedPort[];
  /** What was asked for of that, as long as any port of it listens. */
  readonly publications: readonly Publication[];
  /**
   * Listens on ports of this machine for the guest.
   *
   * @throws SbxError PORT_BUSY, PORT_UNAVAILABLE
   */
  publish(publication: PublisherRequest): Promise<PublishedPort[]>;
  /** Stops listening, and cuts the connections that came in there; returns how many. */
  unpublish(port: PublishedPort): number;
  /** What would become of open flows and pins. Changes nothing. */
  reconsider(change: NetworkChange): Reconsidered;
  /**
   * Has the change judge everything from here on. Flows that it does not allow are cut at once.
   *
   * @throws SbxError STOPPED
   */
  apply(change: NetworkChange): Reconsidered;
  /** Resolves when netstack has done what that means for it. */
  settled(): Promise<void>;
  summary(): NetworkSummary;
  counts(): NetworkCounts;
  close(): void;
}

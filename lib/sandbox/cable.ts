/**
 * The cable between a guest and its network: netstack, who decides for it, and what the guest has to know
 * to be plugged in.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { LINK, type Link } from "../base/link.ts";
import { KnownNames } from "../dns/known_names.ts";
import type { GuestLink, GuestNetwork } from "../guest/plan.ts";
import { hostNetwork, hostsFileEntries, searchDomains, systemResolvers } from "../host/network.ts";
import { type NetstackPlug, type NetstackProcess, spawnNetstack } from "../host/processes.ts";
import type { Denial } from "../journal/denials.ts";
import type { Journal } from "../journal/journal.ts";
import type { SecretSettings } from "../policy/model/secret.ts";
import type { DnsSettings } from "../policy/model/settings.ts";
import type { TlsSettings } from "../policy/model/tls_settings.ts";
import type { Draw } from "../secret/placeholder.ts";
import type { Vault } from "../secret/vault.ts";
import { readBlockedNames } from "./blocked_names.ts";
import type { Interceptor } from "./interceptor.ts";
import type { Lifetime, Part } from "./lifetime.ts";
import { LivePolicy } from "./live_policy.ts";
import { openNetwork } from "./network.ts";
import type { Network } from "./network_spec.ts";
import type { NetworkOptions, PublishedPort } from "./options.ts";
import type { PublisherRequest } from "./publisher.ts";
import { resolverAt } from "./resolver_at.ts";
import type { AskGuest } from "./unheard.ts";

/** How long one question to the resolvers may take when nobody says otherwise. */
const DNS_TIMEOUT_MS = 5000;

/** netstack ends when its control channel does; one that takes longer than this is stuck. */
const NETSTACK_GRACE_MS = 1000;

export interface CableSpec {
  readonly network: NetworkOptions;
  /** The ends' addresses. Absent: those of a guest that the agent configures. */
  readonly link?: Link;
  /** How whoever runs the guest gets in, which no policy closes. Absent: it needs no way in. */
  readonly wayIn?: {
    /** Absent: it is published later. */
    readonly hostPort?: number;
    readonly guestPort: number;
  };
  /** The socket on which the guest is plugged in by somebody else. Absent: what is started is given an end. */
  readonly plug?: NetstackPlug;
  /** Who answers for intercepted servers where the network's own settings name nobody. */
  readonly authority?: NonNullable<TlsSettings["authority"]>;
  /** The random bytes of placeholders. Absent: the system's. */
  readonly draw?: Draw;
  /** What the guest calls itself. */
  readonly hostname: string;
  /** Finds the program. */
  readonly netstackPath: () => Promise<string>;
  readonly journal: Journal;
  /** What dies with the cable, and the cable with it. */
  readonly lifetime: Lifetime;
  /** Absent: this guest has no agent to ask. */
  readonly askGuest?: AskGuest;
  /** Directories that the guest can write to, absolute and without links. Absent: none. */
  readonly writable?: readonly string[];
  readonly onDenial: (denial: Denial) => void;
  readonly onNotice: (line: string) => void;
}

/** The network's side of the cable, ready for a guest to be plugged in. */
export interface Cable {
  readonly netstack: NetstackProcess;
  readonly network: Network;
  readonly live: LivePolicy;
  /** What to plug into the guest; `netstack.releaseFrames` once it is. */
  readonly end: GuestNetwork;
  /** The certificates of whoever answers for intercepted servers. */
  readonly authority?: readonly string[];
  readonly published: readonly PublishedPort[];
  /** What the guest holds of its secrets. Absent: there are none. */
  readonly vault?: Vault;
}

/**
 * Starts netstack and the network that decides for it, and publishes the ports that were asked for.
 *
 * @throws SbxError FILE_UNREADABLE, POLICY_INVALID, TLS_INVALID, NETSTACK_LOST, PORT_BUSY,
 * PORT_UNAVAILABLE, and what `netstackPath` throws
 */
export async function openCable(spec: CableSpec): Promise<Cable> {
  const { link = LINK, hostname, journal, lifetime, askGuest, wayIn, onDenial, onNotice } = spec;
  const { policy, dns, tls, secrets, publish, maxConnections, newFlowsPerSecond } = spec.network;
  const [binary, blocked, interceptor, hosts, vault] = await Promise.all([
    spec.netstackPath(),
    readBlockedNames(dns),
    interceptorFor(
      spec.authority === undefined ? tls : { authority: spec.authority, ...tls },
      secrets,
      onNotice,
    ),
    hostsFileEntries(),
    vaultFor(spec),
  ]);
  // Another resolver than the host's is no business of the host's domains.
  const search = dns.servers.length > 0 ? [] : searchDomains();
  const knownNames = ({ hosts: user = [] }: DnsSettings) =>
    new KnownNames({ guest: hostname, user, gateway: link.gateway.ip4, hosts, search });
  const resolversOf = ({ servers }: DnsSettings) =>
    (servers.length > 0 ? servers : hostResolvers(onNotice)).map(resolverAt);
  const netstack = spawnNetstack(binary, spec.plug);
  const network = await openNetwork({
    control: netstack.control,
    flows: netstack.flows,
    link,
    policy,
    blocked,
    rebindProtection: dns.rebindProtection,
    known: knownNames(dns),
    blockDoh: dns.blockDoh,
    resolvers: resolversOf(dns),
    dnsTimeoutMs: dns.timeoutMs ?? DNS_TIMEOUT_MS,
    ...(interceptor === undefined ? {} : { interceptor }),
    ...(vault === undefined ? {} : { vault }),
    ...(maxConnections === undefined ? {} : { maxConnections }),
    ...(newFlowsPerSecond === undefined ? {} : { newFlowsPerSecond }),
    ...(askGuest === undefined ? {} : { askGuest }),
    ...(wayIn === undefined ? {} : { wayIn: wayIn.guestPort }),
    host: hostNetwork,
    journal,
    onDenial,
    onNotice,
    onTerminate: (error) => void lifetime.end(error),
  }).catch((error) => {
    netstack.kill();
    throw error;
  });
  lifetime.add(netstackPart(netstack, network));
  const published: PublishedPort[] = [];
  const { hostPort } = wayIn ?? {};
  const ways = wayIn === undefined || hostPort === undefined
    ? []
    : [publicationFor({ ...wayIn, hostPort })];
  for (const publication of [...ways, ...publish]) {
    published.push(...await network.publish(publication));
  }
  return {
    netstack,
    network,
    live: new LivePolicy({
      options: spec.network,
      network,
      intercepts: interceptor !== undefined,
      ...(vault === undefined ? {} : { vault }),
      knownNames,
      resolversOf,
      dnsTimeoutMs: DNS_TIMEOUT_MS,
    }),
    // A bare name gets these domains appended.
    end: { ...guestLink(link), search },
    published,
    ...(interceptor === undefined ? {} : { authority: interceptor.authority }),
    ...(vault === undefined ? {} : { vault }),
  };
}

/** The port by which Lima gets in. */
export function publicationFor(
  wayIn: { readonly hostPort: number; readonly guestPort: number },
): PublisherRequest {
  return { ...wayIn, bind: "127.0.0.1", protocol: "tcp", keptFor: "lima" };
}

/** What the guest sees of the cable. */
export function guestLink({ guest, gateway, mtu }: Link = LINK): GuestLink {
  return {
    mac: guest.mac,
    mtu,
    guest4: guest.ip4,
    guest6: guest.ip6,
    gateway4: gateway.ip4,
    gateway6: gateway.ip6,
  };
}

/** Most sandboxes intercept nothing, and load nothing that they would need for it. */
async function interceptorFor(
  tls: TlsSettings,
  secrets: SecretSettings,
  onNotice: (line: string) => void,
): Promise<Interceptor | undefined> {
  if (!tls.intercept && secrets.secrets.length === 0) return undefined;
  const { openInterceptor } = await import("./interceptor.ts");
  return await openInterceptor(tls, secrets, onNotice);
}

/** The sandbox's end is that of whatever is asked for a value. */
async function vaultFor(
  { network: { secrets, secretValues }, writable, draw, lifetime, onNotice }: CableSpec,
): Promise<Vault | undefined> {
  if (secrets.secrets.length === 0) return undefined;
  const over = new AbortController();
  const { promise: gone, resolve } = Promise.withResolvers<undefined>();
  const stop = () => {
    over.abort();
    resolve(undefined);
  };
  lifetime.add({ name: "the sources of secrets", gone, stop });
  const { openVault } = await import("./vault.ts");
  return await openVault({
    settings: secrets,
    signal: over.signal,
    onNotice,
    ...(secretValues === undefined ? {} : { values: secretValues }),
    ...(draw === undefined ? {} : { draw }),
    ...(writable === undefined ? {} : { writable }),
  });
}

/** A machine without resolvers can still run guests that name nothing. */
function hostResolvers(onNotice: (line: string) => void): readonly string[] {
  try {
    return systemResolvers();
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    onNotice(`names will not resolve: ${error.message}; name a resolver with --dns-server`);
    return [];
  }
}

/** netstack and its channel: either one's end is the end of both. */
function netstackPart(netstack: NetstackProcess, network: Network): Part {
  const gone = network.closed.then(async (error) => {
    const timer = setTimeout(() => netstack.kill(), NETSTACK_GRACE_MS);
    await netstack.exited;
    clearTimeout(timer);
    const said = netstack.stderrTail().trim().split("\n")[0] ?? "";
    if (error === undefined || said === "") return error;
    return new SbxError(error.code, `${error.message}; it last said: ${escapeText(said)}`);
  });
  return { name: "netstack", gone, stop: () => network.close() };
}

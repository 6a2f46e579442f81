/**
 * The network of one sandbox: netstack asks here about every flow, policy answers, and what happened
 * is written down.
 *
 * @module
 */
import { isIPv6 } from "node:net";
import type { ByteChannel } from "../base/channel.ts";
import { SbxError } from "../base/errors.ts";
import { Pins } from "../dns/pins.ts";
import { createDns } from "../dns/service.ts";
import type { Resolver } from "../dns/upstream.ts";
import { Control } from "../flow/control.ts";
import { type FromNetstack, PROTOCOL_VERSION } from "../flow/control_message.ts";
import { Mux } from "../flow/mux.ts";
import { compilePolicy } from "../policy/compile.ts";
import { formatRule } from "../policy/grammar.ts";
import type { NameSet } from "../policy/name_set.ts";
import type { Court } from "../flow/judge.ts";
import type { Policy } from "../policy/policy.ts";
import { type Denial, Denials } from "./denials.ts";
import { DnsFlows } from "./dns_flows.ts";
import { FlowTable } from "./flow_table.ts";
import { type Journal, JOURNAL_VERSION } from "./journal.ts";
import { LINK, MTU } from "./link.ts";
import type { Publication, PublishedPort } from "./options.ts";

export interface NetworkSpec {
  /** netstack's ends; the network owns them from here on. */
  readonly control: ByteChannel;
  readonly flows: ByteChannel;
  readonly policy: Policy;
  readonly blocked: NameSet;
  readonly rebindProtection: boolean;
  readonly resolvers: readonly Resolver[];
  readonly dnsTimeoutMs: number;
  readonly maxConnections?: number;
  readonly newFlowsPerSecond?: number;
  /** Addresses of this machine, canonical; asked again every few seconds. */
  readonly hostAddresses: () => readonly string[];
  readonly journal: Journal;
  readonly onDenial: (denial: Denial) => void;
  readonly onNotice: (line: string) => void;
}

/** Counts since the start. */
export interface NetworkSummary {
  readonly flows: number;
  readonly denied: number;
  readonly up: number;
  readonly down: number;
  /** One line for a person. */
  readonly line: string;
}

export interface Network {
  readonly pins: Pins;
  /** Settles when the network is over: with an error unless `close` was called. */
  readonly closed: Promise<SbxError | undefined>;
  /**
   * Binds ports of this machine.
   *
   * @throws SbxError PORT_BUSY
   */
  publish(publication: Publication): Promise<PublishedPort[]>;
  summary(): NetworkSummary;
  close(): void;
}

/** netstack waits this long for a verdict, then denies. */
const VERDICT_TIMEOUT_MS = 10_000;

/** Interfaces come and go (VPN, Wi-Fi); an address that is the host's must soon count as such. */
const HOST_REFRESH_MS = 5_000;

/** Resolves when netstack is configured and the guest's link is up. */
export async function openNetwork(spec: NetworkSpec): Promise<Network> {
  const network = new SandboxNetwork(spec);
  await network.ready;
  return network;
}

class SandboxNetwork implements Network {
  readonly pins = new Pins();
  readonly ready: Promise<void>;
  readonly closed: Promise<SbxError | undefined>;
  readonly #spec: NetworkSpec;
  readonly #control: Control;
  readonly #mux: Mux;
  readonly #denials: Denials;
  readonly #table: FlowTable;
  readonly #refresh: ReturnType<typeof setInterval>;
  readonly #publishing = new Map<number, PromiseWithResolvers<PublishedPort>>();
  readonly #publications = new Map<number, Publication>();
  #hosts: string;
  #court: Court;
  #nextRef = 1;

  constructor(spec: NetworkSpec) {
    this.#spec = spec;
    this.#hosts = spec.hostAddresses().join();
    this.#court = this.#newCourt(1);
    const policy = () => spec.policy;
    this.#denials = new Denials(policy, spec.onDenial);
    const dns = createDns({
      compiled: () => this.#court.compiled,
      pins: this.pins,
      blocked: spec.blocked,
      rebindProtection: spec.rebindProtection,
      policy: spec.policy,
      upstream: { resolvers: spec.resolvers, timeoutMs: spec.dnsTimeoutMs },
      onEvent: ({ kind: _, ...event }) => {
        spec.journal.write({ event: "dns", ...event });
        if (event.verdict === "refused" && event.reason !== undefined) {
          this.#denials.dns(event.name, { ...event, reason: event.reason });
        }
      },
    });
    const dnsFlows = new DnsFlows(dns);
    spec.journal.write({
      event: "start",
      version: JOURNAL_VERSION,
      policy: spec.policy.rules.map(formatRule),
    });
    this.#control = new Control(spec.control, this.#config(), (message) => this.#take(message));
    this.#table = new FlowTable({
      court: () => this.#court,
      control: this.#control,
      pins: this.pins,
      journal: spec.journal,
      denials: this.#denials,
    });
    this.#mux = new Mux(
      spec.flows,
      (flow) => dnsFlows.serve(flow),
      () => this.#control.close(),
    );
    this.#refresh = setInterval(() => this.#refreshHosts(), HOST_REFRESH_MS);
    this.ready = this.#control.ready;
    this.closed = this.#control.closed.then((error) => {
      clearInterval(this.#refresh);
      this.#mux.close();
      for (const { reject } of this.#publishing.values()) {
        reject(error ?? new SbxError("STOPPED", "Cannot publish: the network was closed"));
      }
      return error;
    });
  }

  async publish(publication: Publication): Promise<PublishedPort[]> {
    const binds = publication.bind === undefined ? ["127.0.0.1", "::1"] : [publication.bind];
    const ports: PublishedPort[] = [];
    let port = publication.hostPort;
    for (const bind of binds) {
      try {
        const published = await this.#bind(publication, bind, port);
        port = published.port; // both families on the number that the first was given
        ports.push(published);
      } catch (error) {
        // A machine without IPv6 has no ::1 to bind; the IPv4 one was asked for as well.
        const absent = error instanceof SbxError && error.code === "PORT_UNAVAILABLE";
        if (!absent || ports.length === 0) throw error;
      }
    }
    return ports;
  }

  summary(): NetworkSummary {
    const { flows, up, down } = this.#table.totals;
    const denied = this.#denials.total;
    const top = this.#denials.top(3).map(({ target, count }) => `${target} × ${count}`).join(", ");
    const line = denied === 0
      ? `${flows} flows, nothing denied`
      : `${flows} flows, ${denied} denied: ${top}`;
    return { flows, denied, up, down, line };
  }

  close(): void {
    this.#control.close();
  }

  #newCourt(epoch: number): Court {
    const { policy } = this.#spec;
    const gateways = new Set([LINK.gateway.ip4, LINK.gateway.ip6]);
    return {
      policy,
      compiled: compilePolicy(policy),
      pins: this.pins,
      hosts: new Set([...gateways, ...this.#spec.hostAddresses()]),
      gateways,
      epoch,
    };
  }

  #config() {
    const { maxConnections, newFlowsPerSecond } = this.#spec;
    return {
      t: "config",
      v: PROTOCOL_VERSION,
      epoch: this.#court.epoch,
      mtu: MTU,
      guest: LINK.guest,
      gateway: LINK.gateway,
      hostAddresses: this.#spec.hostAddresses(),
      limits: {
        ...(maxConnections === undefined ? {} : { flows: maxConnections }),
        ...(newFlowsPerSecond === undefined ? {} : { perSecond: newFlowsPerSecond }),
      },
      verdictTimeoutMs: VERDICT_TIMEOUT_MS,
    } as const;
  }

  #take(message: FromNetstack): void {
    switch (message.t) {
      case "limit":
        this.#spec.journal.write({ event: "limit", what: message.what, count: message.count });
        return this.#spec.onNotice(`limit ${message.what}: ${message.count} refused`);
      case "published":
      case "publish-failed":
        return this.#settlePublication(message);
      default:
        this.#table.take(message);
    }
  }

  #refreshHosts(): void {
    const addresses = this.#spec.hostAddresses();
    if (addresses.join() === this.#hosts) return;
    this.#hosts = addresses.join();
    this.#court = this.#newCourt(this.#court.epoch + 1);
    this.#control.send({ t: "host", addresses });
    this.#control.send({ t: "policy", epoch: this.#court.epoch });
  }

  #bind(publication: Publication, bind: string, port: number): Promise<PublishedPort> {
    const ref = this.#nextRef++;
    const waiting = Promise.withResolvers<PublishedPort>();
    this.#publishing.set(ref, waiting);
    this.#publications.set(ref, publication);
    const { guestPort, protocol: proto } = publication;
    this.#control.send({ t: "publish", ref, bind, port, guestPort, proto });
    return waiting.promise;
  }

  #settlePublication(message: FromNetstack & { t: "published" | "publish-failed" }): void {
    const waiting = this.#publishing.get(message.ref);
    const publication = this.#publications.get(message.ref);
    this.#publishing.delete(message.ref);
    if (waiting === undefined || publication === undefined) return;
    if (message.t === "published") {
      const { guestPort, protocol } = publication;
      const { addr: address, port } = message;
      this.#spec.journal.write({ event: "published", address, port, guestPort });
      return waiting.resolve({ address, port, guestPort, protocol });
    }
    const busy = message.code === "EADDRINUSE";
    const state = busy ? "the port is taken" : message.message;
    const code = message.code === "EADDRNOTAVAIL" ? "PORT_UNAVAILABLE" : "PORT_BUSY";
    waiting.reject(
      new SbxError(code, `Cannot publish port ${publication.hostPort}: ${state}`, {
        hint: busy
          ? "choose another host port, or 0 to let the system choose"
          : "check the address",
      }),
    );
  }
}

/** `ADDR`, `ADDR:PORT` or `[ADDR]:PORT`, already checked by whoever read the option. */
export function resolverAt(text: string): Resolver {
  if (isIPv6(text)) return { address: text, port: 53 };
  const match = /^\[?([^\]]+?)\]?(?::(\d+))?$/.exec(text);
  return { address: match?.[1] ?? text, port: Number(match?.[2] ?? 53) };
}

/**
 * The network of one sandbox: netstack asks here about every flow, policy answers, and what happened
 * is written down.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import type { ByteChannel } from "../base/channel.ts";
import { SbxError } from "../base/errors.ts";
import { dohNames } from "../dns/doh_endpoints.ts";
import { Pins } from "../dns/pins.ts";
import { createDns } from "../dns/service.ts";
import { createUpstream, type Resolver } from "../dns/upstream.ts";
import { Control } from "../flow/control.ts";
import {
  type ConfigMessage,
  type FlowEnd,
  type FromNetstack,
  PROTOCOL_VERSION,
} from "../flow/control_message.ts";
import type { FlowStream } from "../flow/flow_stream.ts";
import { FlowTable, type PlainHttpFlow } from "../flow/flow_table.ts";
import type { Court } from "../flow/judge.ts";
import { judgePlainRequest, judgeRequest } from "../flow/judge_request.ts";
import { servePlainHttp } from "../flow/plain_http.ts";
import { Mux, type RedirectedFlow } from "../flow/mux.ts";
import type { Exchange, Refusal, RequestLine } from "../http/exchange.ts";
import { compilePolicy } from "../policy/compile.ts";
import type { NameSet } from "../policy/name_set.ts";
import type { Policy } from "../policy/policy.ts";
import { type Denial, Denials } from "./denials.ts";
import { DnsFlows } from "./dns_flows.ts";
import type { Interceptor } from "./interceptor.ts";
import type { Journal } from "./journal.ts";
import { GATEWAY_LINK_LOCAL, LINK, MTU } from "./link.ts";
import type { Publication, PublishedPort } from "./options.ts";
import { Publisher } from "./publisher.ts";
import { Recorder } from "./recorder.ts";
import { limitNotice, type NetworkSummary, summarize } from "./summary.ts";

export interface NetworkSpec {
  /** netstack's ends; the network owns them from here on. */
  readonly control: ByteChannel;
  readonly flows: ByteChannel;
  readonly policy: Policy;
  /** Names that never resolve. */
  readonly blocked: NameSet;
  /** Refuses known DNS-over-HTTPS services. */
  readonly blockDoh?: boolean;
  readonly rebindProtection: boolean;
  /** Empty: no name resolves. */
  readonly resolvers: readonly Resolver[];
  readonly dnsTimeoutMs: number;
  /** Absent: nothing is intercepted. */
  readonly interceptor?: Interceptor;
  /** TCP and UDP flows at once. Absent: what netstack can hold. */
  readonly maxConnections?: number;
  readonly newFlowsPerSecond?: number;
  /** Addresses of this machine, canonical; asked again every few seconds. */
  readonly hostAddresses: () => readonly string[];
  readonly journal: Journal;
  readonly onDenial: (denial: Denial) => void;
  readonly onNotice: (line: string) => void;
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

/** netstack waits this long for a verdict, then denies. */
const VERDICT_TIMEOUT_MS = 10_000;

/** Interfaces come and go (VPN, Wi-Fi); an address that is the host's must soon count as such. */
const HOST_REFRESH_MS = 5_000;

/** Flows of plain HTTP that are relayed at the same time; each may hold some hundred kilobytes. */
const MAX_RELAYED = 2_048;

/** How long netstack may take to tell what went over the flows that the end of the network cuts. */
const LAST_WORDS_MS = 2_000;

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
  readonly #denials: Denials;
  readonly #recorder: Recorder;
  readonly #control: Control;
  readonly #table: FlowTable;
  readonly #publisher: Publisher;
  readonly #refresh: ReturnType<typeof setInterval>;
  #court: Court;
  #relayed = 0;
  /** While closing, no flow begins any more and those that are open are being ended. */
  #phase: "open" | "closing" | "closed" = "open";

  constructor(spec: NetworkSpec) {
    this.#spec = spec;
    this.#court = {
      compiled: compilePolicy(spec.policy),
      pins: this.pins,
      blocked: spec.blocked,
      doh: spec.blockDoh === true ? dohNames() : null,
      tls: spec.interceptor?.interception ?? null,
      hosts: withGateways(spec.hostAddresses()),
      gateways: GATEWAYS,
      epoch: 1,
    };
    this.#denials = new Denials(spec.onDenial);
    this.#recorder = new Recorder(
      spec.journal,
      this.#denials,
      () => this.#court.compiled.policy,
    );
    this.#recorder.policy("start");
    this.#control = new Control(spec.control, this.#config(), (message) => this.#take(message));
    this.#publisher = new Publisher(this.#control);
    this.#table = new FlowTable({
      court: () => this.#court,
      control: this.#control,
      pins: this.pins,
      onEvent: (event) => this.#recorder.flow(event),
    });
    const dnsFlows = this.#serveDns();
    const mux = new Mux(
      spec.flows,
      (flow) => {
        if (flow.info.dport === 53) dnsFlows.serve(flow);
        else this.#intercept(flow);
      },
      (error) => this.#control.close(error),
    );
    this.#refresh = setInterval(() => this.#refreshHosts(), HOST_REFRESH_MS);
    this.ready = this.#control.ready;
    this.closed = this.#control.closed.then((error) => {
      clearInterval(this.#refresh);
      this.#phase = "closed";
      dnsFlows.close();
      this.#table.close();
      mux.close();
      this.#publisher.close(
        error ?? new SbxError("STOPPED", "Cannot publish a port: the network was closed"),
      );
      this.#recorder.close();
      return error;
    });
  }

  publish(publication: Publication): Promise<PublishedPort[]> {
    return this.#publisher.publish(publication).then((ports) => {
      for (const port of ports) this.#spec.journal.write({ event: "published", ...port });
      return ports;
    });
  }

  setPolicy(policy: Policy): void {
    this.#enter({ compiled: compilePolicy(policy) });
    this.#recorder.policy("policy");
    this.#table.judgeAgain();
  }

  summary(): NetworkSummary {
    return summarize(this.#recorder.totals, this.#denials);
  }

  /** The journal has the end of every flow, so that those still open are ended before netstack is. */
  close(): void {
    if (this.#phase !== "open") return;
    this.#phase = "closing";
    const patience = setTimeout(() => this.#control.close(), LAST_WORDS_MS);
    void this.closed.then(() => clearTimeout(patience));
    this.#table.killAll();
    this.#closeWhenQuiet();
  }

  #closeWhenQuiet(): void {
    if (!this.#table.hasOpen) this.#control.close();
  }

  #serveDns(): DnsFlows {
    const { blocked, blockDoh, rebindProtection, resolvers, dnsTimeoutMs } = this.#spec;
    const dns = createDns({
      compiled: () => this.#court.compiled,
      hosts: () => this.#court.hosts,
      pins: this.pins,
      upstream: createUpstream({ resolvers, timeoutMs: dnsTimeoutMs }),
      blocked,
      blockDoh: blockDoh === true,
      rebindProtection,
      // A key of ECH would hide from interception what the guest asks for.
      revealAll: this.#court.tls !== null,
      onEvent: (event) => this.#recorder.dns(event),
    });
    return new DnsFlows(dns);
  }

  /** A flow that has lost its verdict on the way here goes no further. */
  #intercept(redirected: RedirectedFlow): void {
    if (redirected.kind !== "stream") return;
    const { id, stream } = redirected;
    stream.once("close", () => setImmediate(() => this.#table.ended(id)));
    const plain = this.#table.plainHttp(id);
    if (plain !== null) return this.#relay(stream, id, plain);
    const flow = this.#table.intercepted(id);
    const { interceptor } = this.#spec;
    if (flow === null || interceptor === undefined) return void stream.destroy();
    const relayed = { id, info: flow.info, scheme: "https" } as const;
    const opened = {
      stream,
      flow,
      onDialled: (address: string) => this.#table.dialled(id, address),
      onRefused: (why: Refusal) => this.#table.refuse(id, why),
      onEnd: (end: FlowEnd) => this.#table.ended(id, end),
      judge: (request: RequestLine) => judgeRequest(this.#court, flow, request),
      onExchange: (exchange: Exchange) => this.#recorder.request(relayed, exchange),
    };
    interceptor.serve(opened, (count) => this.#take({ t: "limit", what: "intercepted", count }));
  }

  /** Plain HTTP under rules about names. */
  #relay(stream: FlowStream, id: number, flow: PlainHttpFlow): void {
    if (this.#relayed >= MAX_RELAYED) {
      stream.destroy();
      return this.#take({ t: "limit", what: "relayed", count: 1 });
    }
    this.#relayed++;
    const relayed = { id, info: flow.info, scheme: "http" } as const;
    stream.once("close", () => this.#relayed--);
    void servePlainHttp({
      stream,
      flow,
      onDialled: (address) => this.#table.dialled(id, address),
      onEnd: (end) => this.#table.ended(id, end),
      judge: (request) => judgePlainRequest(this.#court, flow.info, request),
      onExchange: (exchange) => this.#recorder.request(relayed, exchange),
    });
  }

  #config(): ConfigMessage {
    const { maxConnections, newFlowsPerSecond, hostAddresses } = this.#spec;
    return {
      t: "config",
      v: PROTOCOL_VERSION,
      epoch: this.#court.epoch,
      mtu: MTU,
      guest: LINK.guest,
      gateway: LINK.gateway,
      hostAddresses: hostAddresses(),
      limits: {
        ...(maxConnections === undefined ? {} : { flows: maxConnections }),
        ...(newFlowsPerSecond === undefined ? {} : { perSecond: newFlowsPerSecond }),
      },
      verdictTimeoutMs: VERDICT_TIMEOUT_MS,
    };
  }

  #take(message: FromNetstack): void {
    switch (message.t) {
      case "limit": {
        const { what, count } = message;
        this.#spec.journal.write({ event: "limit", what, count });
        return this.#spec.onNotice(limitNotice(what, count, this.#spec));
      }
      case "published":
      case "publish-failed":
        return this.#publisher.take(message);
      case "flow":
      case "first":
        // Without a verdict nothing passes.
        return this.#phase === "open" ? this.#table.take(message) : undefined;
      case "closed":
        this.#table.take(message);
        return this.#phase === "closing" ? this.#closeWhenQuiet() : undefined;
      default:
        return this.#table.take(message);
    }
  }

  #refreshHosts(): void {
    const addresses = this.#spec.hostAddresses();
    const hosts = withGateways(addresses);
    if (hosts.symmetricDifference(this.#court.hosts).size === 0) return;
    this.#control.send({ t: "host", addresses });
    this.#enter({ hosts });
    this.#table.judgeAgain();
  }

  /** A new generation: netstack forgets what it was allowed to keep, and asks again. */
  #enter(change: Partial<Court>): void {
    this.#court = { ...this.#court, ...change, epoch: this.#court.epoch + 1 };
    this.#control.send({ t: "policy", epoch: this.#court.epoch });
  }
}

const GATEWAYS: ReadonlySet<string> = new Set([
  LINK.gateway.ip4,
  LINK.gateway.ip6,
  GATEWAY_LINK_LOCAL,
]);

function withGateways(hostAddresses: readonly string[]): Set<string> {
  return new Set([...GATEWAYS, ...hostAddresses]);
}

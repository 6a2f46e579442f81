/**
 * The network of one sandbox: netstack asks here about every flow, policy answers, and what happened
 * is written down.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import { SbxError } from "../base/errors.ts";
import { Pins } from "../dns/pins.ts";
import { createDns } from "../dns/service.ts";
import { createUpstream } from "../dns/upstream.ts";
import { Control } from "../flow/control.ts";
import {
  type ConfigMessage,
  type FlowEnd,
  type FromNetstack,
  PROTOCOL_VERSION,
} from "../flow/control_message.ts";
import { relayDatagrams } from "../flow/datagram_relay.ts";
import type { FlowStream } from "../flow/flow_stream.ts";
import {
  FlowTable,
  type HandedFlow,
  type InterceptedFlow,
  type ServedFlow,
} from "../flow/flow_table.ts";
import type { ServerFacts } from "../flow/intercept.ts";
import { type DatagramFlow, Mux, type RedirectedFlow } from "../flow/mux.ts";
import { servePlainHttp } from "../flow/plain_http.ts";
import { relayWatched } from "../flow/watched_stream.ts";
import type { Exchange, JudgeRequest, Refusal } from "../http/exchange.ts";
import { judging, type RequestGate } from "../http/gate.ts";
import { Denials } from "../journal/denials.ts";
import { Recorder } from "../journal/recorder.ts";
import { limitNotice, type NetworkSummary, summarize } from "../journal/summary.ts";
import { partyOf } from "../judge/flow_info.ts";
import { judgePlainRequest, judgeRequest } from "../judge/request.ts";
import { isSamePlace, placeOf, type Snapshot, snapshotOf } from "../judge/snapshot.ts";
import { compilePolicy } from "../policy/decide/compile.ts";
import type { Policy } from "../policy/model/policy.ts";
import type { SecretViolation } from "../secret/report.ts";
import { DnsFlows } from "./dns_flows.ts";
import { Gathered } from "./gathered.ts";
import type { Network, NetworkSpec } from "./network_spec.ts";
import type { Publication, PublishedPort } from "./options.ts";
import { Publisher } from "./publisher.ts";
import type { RelayedSession, SecretGates, SecretSink } from "./secret_gates.ts";
import { Unanswered } from "./unanswered.ts";
import { Unheard } from "./unheard.ts";
import type { Admit } from "./violations.ts";

/** netstack waits this long for a verdict, then denies. */
const VERDICT_TIMEOUT_MS = 10_000;

/** Interfaces come and go (VPN, Wi-Fi); an address that is the host's must soon count as such. */
const HOST_REFRESH_MS = 5_000;

/** Flows of plain HTTP that are relayed at the same time; each may hold some hundred kilobytes. */
const MAX_RELAYED = 2_048;

/** How long netstack may take to tell what went over the flows that the end of the network cuts. */
const LAST_WORDS_MS = 2_000;

/** A stream that passes without being opened. */
type PassedStream = HandedFlow & { readonly serve: "http" | "stream" };

/** Resolves when netstack is configured and the guest's link is up. */
export async function openNetwork(spec: NetworkSpec): Promise<Network> {
  const { vault } = spec;
  // Most sandboxes have no secrets, and load nothing that they would need for them.
  const secrets = vault === undefined ? undefined : await import("./secret_gates.ts");
  const network = new SandboxNetwork(
    spec,
    (sink) => vault === undefined ? undefined : secrets?.secretGates(vault, sink),
  );
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
  readonly #unheard: Unheard;
  readonly #dnsFlows: DnsFlows;
  readonly #mux: Mux;
  readonly #refresh: ReturnType<typeof setInterval>;
  /** Undefined where there are no secrets. */
  readonly #secretGates: SecretGates | undefined;
  #snapshot: Snapshot;
  #relayed = 0;
  readonly #notRelayed = new Gathered((count) =>
    this.#take({ t: "limit", what: "relayed", count })
  );
  /** While closing, no flow begins any more and those that are open are being ended. */
  #phase: "open" | "closing" | "closed" = "open";

  constructor(
    spec: NetworkSpec,
    secretGates: (sink: SecretSink) => SecretGates | undefined,
  ) {
    this.#spec = spec;
    const { interceptor, host, ...settings } = spec;
    const interception = interceptor?.interception ?? null;
    this.#snapshot = snapshotOf({ ...settings, interception }, host(), this.pins);
    this.#denials = new Denials(spec.onDenial);
    this.#recorder = new Recorder(
      spec.journal,
      this.#denials,
      () => this.#snapshot,
    );
    this.#secretGates = secretGates({
      pins: this.pins,
      interception,
      onUse: (id, use) => this.#recorder.secret(id, use),
      onViolation: (violation, action) => this.#recorder.secretViolation(violation, action),
      onDenial: spec.onDenial,
      onNotice: spec.onNotice,
      refuse: (id, why) => this.#table.refuse(id, why),
      terminate: (error) => this.#terminate(error),
    });
    this.#control = new Control(spec.control, this.#config(), (message) => this.#take(message));
    this.#publisher = new Publisher(this.#control);
    const unanswered = new Unanswered(spec.onNotice);
    this.#table = new FlowTable({
      snapshot: () => this.#snapshot,
      control: this.#control,
      pins: this.pins,
      onEvent: (event) => {
        this.#recorder.flow(event);
        unanswered.see(event);
      },
      onCarried: ({ id, info, ruling, ...carried }) =>
        this.#violated({ ...carried, flow: id, to: partyOf(info, ruling.name) }),
    });
    this.#unheard = new Unheard({
      control: this.#control,
      table: this.#table,
      publisher: this.#publisher,
      unanswered,
      askGuest: spec.askGuest ?? (() => Promise.resolve(null)),
    });
    this.#dnsFlows = this.#serveDns();
    this.#mux = new Mux(
      spec.flows,
      (flow) => this.#serve(flow),
      (error) => this.#control.close(error),
    );
    this.#refresh = setInterval(() => this.#refreshHosts(), HOST_REFRESH_MS);
    this.ready = this.#control.ready;
    this.closed = this.#control.closed.then((error) => {
      clearInterval(this.#refresh);
      this.#phase = "closed";
      this.#dnsFlows.close();
      this.#table.close();
      this.#mux.close();
      this.#publisher.close(
        error ?? new SbxError("STOPPED", "Cannot publish a port: the network was closed"),
      );
      this.#notRelayed.tell();
      this.#recorder.close();
      this.#secretGates?.close();
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
    this.#recorder.policy();
    this.#table.judgeAgain();
  }

  summary(): NetworkSummary {
    return summarize(this.#recorder.totals, this.#denials);
  }

  /**
   * The journal has the end of every flow, so that those still open are ended before netstack is, and what
   * it refused until then.
   */
  close(): void {
    if (this.#phase !== "open") return;
    this.#phase = "closing";
    const patience = setTimeout(() => this.#control.close(), LAST_WORDS_MS);
    void this.closed.then(() => clearTimeout(patience));
    this.#table.killAll();
    this.#closeWhenQuiet();
  }

  #closeWhenQuiet(): void {
    if (!this.#table.hasOpen) this.#control.finish();
  }

  #serveDns(): DnsFlows {
    const { resolvers, dnsTimeoutMs, vault } = this.#spec;
    const dns = createDns({
      snapshot: () => this.#snapshot,
      pins: this.pins,
      upstream: createUpstream({ resolvers, timeoutMs: dnsTimeoutMs }),
      onEvent: (event) => this.#recorder.dns(event),
      ...(vault === undefined ? {} : { tripwire: vault.tripwire }),
      onCarried: (sightings, name) => this.#violated({ sightings, route: "dns", to: name }),
    });
    return new DnsFlows(dns);
  }

  /** A flow that netstack hands over goes to whom its ruling named, and nowhere when it has none. */
  #serve(redirected: RedirectedFlow): void {
    const { id, info } = redirected;
    const handed = this.#table.handed(id, info);
    if (handed?.serve === "dns") return this.#dnsFlows.serve(redirected);
    if (redirected.kind !== "stream") {
      if (handed?.serve !== "datagrams") return redirected.datagrams.end();
      return this.#relayDatagrams(redirected.datagrams, id, handed.flow);
    }
    const { stream } = redirected;
    stream.once("close", () => setImmediate(() => this.#table.ended(id)));
    if (handed?.serve === "http" || handed?.serve === "stream") {
      return this.#relay(stream, id, handed);
    }
    if (handed?.serve === "interception") return this.#intercept(stream, id, handed.flow);
    stream.destroy();
  }

  #intercept(stream: FlowStream, id: number, flow: InterceptedFlow): void {
    const { interceptor } = this.#spec;
    if (interceptor === undefined) return void stream.destroy();
    const relayed = { id, info: flow.info, scheme: "https" } as const;
    const opened = {
      stream,
      flow,
      id,
      onDialled: (address: string) => this.#table.dialled(id, address),
      onRefused: (why: Refusal) => this.#table.refuse(id, why),
      onEnd: (end: FlowEnd) => this.#table.ended(id, end),
      gateFor: (server: ServerFacts) =>
        this.#gate(
          { ...server, id, info: flow.info, sni: flow.hello.sni },
          (request) => judgeRequest(this.#snapshot, flow, request),
        ),
      onExchange: (exchange: Exchange) => this.#recorder.request(relayed, exchange),
      admit: this.#admit("stream", id, flow, flow.hello.sni),
    };
    interceptor.serve(opened, (count) => this.#take({ t: "limit", what: "intercepted", count }));
  }

  #gate(session: RelayedSession, judge: JudgeRequest): RequestGate {
    return this.#secretGates?.gateFor(session, judge) ?? judging(judge);
  }

  /** What is done about a placeholder that goes astray, beside what becomes of its flow. */
  #violated(violation: SecretViolation): void {
    this.#secretGates?.violated(violation);
  }

  /** Nothing leaves any more, whatever the guest does while it is being ended. */
  #terminate(error: SbxError): void {
    this.#spec.onTerminate(error);
    this.close();
    this.#mux.cutAll();
    this.#dnsFlows.close();
  }

  /** What is asked of the bytes of a guest that are only passed on. */
  #admit(
    what: "datagrams" | "stream",
    id: number,
    { info, ruling }: ServedFlow,
    host: string | null = null,
  ): Admit {
    return this.#secretGates?.[what](id, partyOf(info, ruling.name), host) ?? (() => true);
  }

  #relayDatagrams(datagrams: DatagramFlow, id: number, flow: ServedFlow): void {
    relayDatagrams({
      datagrams,
      flow,
      admit: this.#admit("datagrams", id, flow),
      onDialled: (address) => this.#table.dialled(id, address),
      onEnd: (end) => this.#table.ended(id, end),
    });
  }

  /** Plain HTTP under rules about names, and what is only watched. */
  #relay(stream: FlowStream, id: number, { serve, flow }: PassedStream): void {
    if (this.#relayed >= MAX_RELAYED) {
      stream.destroy();
      return this.#notRelayed.add();
    }
    this.#relayed++;
    const relayed = { id, info: flow.info, scheme: "http" } as const;
    stream.once("close", () => this.#relayed--);
    const common = {
      stream,
      flow,
      onDialled: (address: string) => this.#table.dialled(id, address),
      onEnd: (end: FlowEnd) => this.#table.ended(id, end),
    };
    if (serve === "stream") {
      return void relayWatched({ ...common, admit: this.#admit(serve, id, flow) });
    }
    void servePlainHttp({
      ...common,
      id,
      gate: this.#gate(
        { id, info: flow.info, open: true, verified: false, sni: null },
        (request) => judgePlainRequest(this.#snapshot, flow.info, request),
      ),
      onExchange: (exchange) => this.#recorder.request(relayed, exchange),
    });
  }

  #config(): ConfigMessage {
    const { link, maxConnections, newFlowsPerSecond, host } = this.#spec;
    return {
      t: "config",
      v: PROTOCOL_VERSION,
      epoch: this.#snapshot.generation,
      mtu: link.mtu,
      guest: link.guest,
      gateway: link.gateway,
      hostAddresses: host().addresses,
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
      case "unheard":
        return void this.#unheard.take(message.id);
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
    const host = this.#spec.host();
    const place = placeOf(host, this.#snapshot.gateways);
    if (isSamePlace(place, this.#snapshot)) return;
    this.#control.send({ t: "host", addresses: host.addresses });
    this.#enter(place);
    this.#table.judgeAgain();
  }

  /** A new generation: netstack forgets what it was allowed to keep, and asks again. */
  #enter(change: Partial<Snapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change, generation: this.#snapshot.generation + 1 };
    this.#control.send({ t: "policy", epoch: this.#snapshot.generation });
  }
}

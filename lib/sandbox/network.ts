/**
 * The network of one sandbox: netstack asks here about every flow, policy answers, and what happened
 * is written down.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { withoutGround, withoutPins } from "../dns/pin_review.ts";
import { Pins } from "../dns/pins.ts";
import { createDns } from "../dns/service.ts";
import { createUpstream } from "../dns/upstream.ts";
import { Control } from "../flow/control.ts";
import {
  type ConfigMessage,
  type FromNetstack,
  PROTOCOL_VERSION,
  type VerdictMessage,
} from "../flow/control_message.ts";
import { FlowTable } from "../flow/flow_table.ts";
import { Mux } from "../flow/mux.ts";
import { Denials } from "../journal/denials.ts";
import { Recorder } from "../journal/recorder.ts";
import { limitNotice, type NetworkSummary, summarize } from "../journal/summary.ts";
import { type FlowInfo, partyOf } from "../judge/flow_info.ts";
import { isSamePlace, placeOf, rulesOf, type Snapshot, snapshotOf } from "../judge/snapshot.ts";
import type { SecretViolation } from "../secret/report.ts";
import { DnsFlows } from "./dns_flows.ts";
import { HandedFlows } from "./handed_flows.ts";
import type { NetworkCounts } from "./network_counts.ts";
import type { Network, NetworkChange, NetworkSpec, Reconsidered } from "./network_spec.ts";
import type { Publication, PublishedPort } from "./options.ts";
import { Publisher, type PublisherRequest } from "./publisher.ts";
import type { SecretGates, SecretSink } from "./secret_gates.ts";
import { Unanswered } from "./unanswered.ts";
import { Unheard } from "./unheard.ts";

/** netstack waits this long for a verdict, then denies. */
const VERDICT_TIMEOUT_MS = 10_000;

/** Interfaces come and go (VPN, Wi-Fi); an address that is the host's must soon count as such. */
const HOST_REFRESH_MS = 5_000;

/** How long netstack may take to tell what went over the flows that the end of the network cuts. */
const LAST_WORDS_MS = 2_000;

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
  readonly #handed: HandedFlows;
  readonly #mux: Mux;
  readonly #refresh: ReturnType<typeof setInterval>;
  /** Undefined where there are no secrets. */
  readonly #secretGates: SecretGates | undefined;
  #snapshot: Snapshot;
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
      interception: () => this.#snapshot.tls,
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
        // At once, or requests that came before would be answered yet.
        if (event.kind === "revoked") this.#mux.cut(event.id);
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
    this.#handed = new HandedFlows({
      snapshot: () => this.#snapshot,
      table: this.#table,
      recorder: this.#recorder,
      dns: this.#dnsFlows,
      interceptor,
      secretGates: this.#secretGates,
      onLimit: (what, count) => this.#take({ t: "limit", what, count }),
    });
    this.#mux = new Mux(
      spec.flows,
      (flow) => this.#handed.serve(flow),
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
      this.#handed.close();
      this.#recorder.close();
      this.#secretGates?.close();
      return error;
    });
  }

  get published(): readonly PublishedPort[] {
    return [...this.#publisher.listening.values()];
  }

  get publications(): readonly Publication[] {
    return this.#publisher.publications;
  }

  publish(publication: PublisherRequest): Promise<PublishedPort[]> {
    return this.#publisher.publish(publication).then((ports) => {
      for (const { keptFor: _, ...port } of ports) {
        this.#spec.journal.write({ event: "published", ...port });
      }
      return ports;
    });
  }

  unpublish(port: PublishedPort): number {
    const ref = this.#publisher.unpublish(port);
    if (ref === undefined) return 0;
    this.#spec.journal.write({ event: "unpublished", ...port });
    return this.#table.kill((info) => info.dir === "inbound" && info.ref === ref);
  }

  reconsider(change: NetworkChange): Reconsidered {
    const after = { ...this.#snapshot, ...rulesOf(change) };
    const elsewhere = change.upstream?.elsewhere ?? false;
    const forgotten = withoutGround(this.pins, this.#snapshot, after, elsewhere);
    const snapshot = { ...after, pins: withoutPins(this.pins, forgotten) };
    return { flows: this.#table.judged(snapshot), forgotten };
  }

  /** In one turn of the event loop, so that no question and no flow comes in between. */
  apply(change: NetworkChange): Reconsidered {
    if (this.#phase !== "open") {
      throw new SbxError("STOPPED", "Cannot apply the policy: the sandbox was stopped");
    }
    const { upstream, trust, interception = null } = change;
    const reconsidered = this.reconsider(change);
    if (upstream !== undefined) this.#dnsFlows.askElsewhere(createUpstream(upstream));
    if (trust !== undefined && interception !== null) {
      this.#spec.interceptor?.become(interception, trust);
    }
    this.pins.forget(reconsidered.forgotten);
    this.#enter(rulesOf(change));
    this.#recorder.policy();
    this.#table.enforce(reconsidered.flows);
    return reconsidered;
  }

  settled(): Promise<void> {
    return this.#control.carriedOut();
  }

  counts(): NetworkCounts {
    const { fromGuest, toGuest } = this.#control.traffic;
    return {
      fromGuestBytes: fromGuest,
      toGuestBytes: toGuest,
      openFlows: this.#table.open,
      openedFlows: this.#recorder.totals.flows,
      denied: this.#denials.total,
    };
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
    this.#table.kill(() => true);
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
        if (this.#isLate(message)) return this.#control.send(this.#denial(message.id));
        return this.#phase === "open" ? this.#table.take(message) : undefined;
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

  /** A connection to a port that does not listen any more was on its way when that ended. */
  #isLate({ dir, ref }: FlowInfo): boolean {
    return dir === "inbound" && ref !== undefined && !this.#publisher.listening.has(ref);
  }

  #denial(id: number): VerdictMessage {
    return { t: "verdict", id, epoch: this.#snapshot.generation, action: "deny" };
  }

  #refreshHosts(): void {
    const host = this.#spec.host();
    const place = placeOf(host, this.#snapshot.gateways);
    if (isSamePlace(place, this.#snapshot)) return;
    this.#control.send({ t: "host", addresses: host.addresses });
    this.#enter(place);
    this.#table.enforce(this.#table.judged(this.#snapshot));
  }

  /** A new generation: netstack forgets what it was allowed to keep, and asks again. */
  #enter(change: Partial<Snapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change, generation: this.#snapshot.generation + 1 };
    this.#control.send({ t: "policy", epoch: this.#snapshot.generation });
  }
}

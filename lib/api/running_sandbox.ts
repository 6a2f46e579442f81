/**
 * The sandbox of a program. It lives in a process of its own, the binary's, which the program speaks with over a
 * socket that both have: whatever ends the program ends the sandbox, and a program that is busy holds nothing up.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { callable, optionsOf } from "../base/misuse.ts";
import { untilAborted } from "../base/until.ts";
import type { TemplateUse } from "../guest/guest.ts";
import type { PolicyChange } from "../journal/policy_change.ts";
import type { NetworkSummary } from "../journal/summary.ts";
import type { Policy } from "../policy/model/policy.ts";
import { connectionTo, type ConnectOptions, type GuestConnection } from "../sandbox/connection.ts";
import { type EventsOptions, requireEvents, type SandboxEvent } from "../sandbox/events.ts";
import type { ExecOptions } from "../sandbox/exec_options.ts";
import type { Forwarding } from "../sandbox/forwarding.ts";
import type { SandboxFiles } from "../sandbox/files.ts";
import { type ApplyOptions, type NetworkSettings, nextOptions } from "../sandbox/live_settings.ts";
import type { SandboxMetrics } from "../sandbox/metrics.ts";
import type {
  NetworkOptions,
  Publication,
  PublishedPort,
  SandboxOptions,
} from "../sandbox/options.ts";
import type { SandboxProcess } from "../sandbox/process.ts";
import { requirePublication } from "../sandbox/publication.ts";
import type { PortSelection, Unpublished } from "../sandbox/publication.ts";
import type { WaitOptions } from "../sandbox/wait_for_port.ts";
import type { ProgramSandbox } from "../supervise/program_client.ts";
import type { SupervisorClient } from "../supervise/client.ts";
import { standingIn } from "../supervise/program_protocol.ts";
import { policyOf } from "../supervise/record.ts";
import { type Abortable, signalOf } from "./abortable.ts";
import { SandboxChanges } from "./sandbox_changes.ts";

/** A guest that runs, with its network. */
export class RunningSandbox extends SandboxChanges implements AsyncDisposable {
  /** The guest's files. */
  readonly fs: SandboxFiles;
  readonly #sandbox: ProgramSandbox;
  #settings: NetworkOptions;
  /** Settles with the last change of policy that was asked for. */
  #applied: Promise<void> = Promise.resolve();
  #published: readonly PublishedPort[];

  /** @internal Sandboxes come from a builder's `create`. */
  constructor(sandbox: ProgramSandbox, { user, network }: SandboxOptions) {
    super();
    this.#sandbox = sandbox;
    this.#settings = network;
    this.#published = sandbox.ready.published;
    this.fs = sandbox.client.files(user);
  }

  /** What runs the guest's code: `kvm`, `hvf` or `tcg` (emulation). */
  get accelerator(): string {
    return this.#sandbox.ready.accelerator;
  }

  /**
   * Whether the guest went on from a template: `used`; or booted, because none was kept for it yet
   * (`missing`), or because templates do not serve such guests, or are not wanted (`unserved`).
   */
  get template(): TemplateUse {
    return this.#sandbox.ready.template;
  }

  /** The ports that listen for the guest now, with the numbers that the system chose. */
  get published(): readonly PublishedPort[] {
    return this.#published;
  }

  /** Resolves at the end of the sandbox: to the failure, or to undefined when it was stopped. */
  get ended(): Promise<SbxError | undefined> {
    return this.#sandbox.lifetime.ending;
  }

  /**
   * Starts a command. The streams are ready at once; failures to start come out of `exit`, and so does `USAGE` for
   * arguments and variables that have the value of a secret.
   *
   * @throws SbxError `STOPPED`, or `USAGE` for wrong options; the signal's reason
   */
  exec(command: string, args: readonly string[] = [], options: ExecOptions = {}): SandboxProcess {
    this.#requireOpen("run a command");
    return this.#sandbox.client.exec(command, args, options);
  }

  /** What the network is judged by now; a change in it is {@link RunningSandbox.applyPolicy}. */
  get settings(): NetworkOptions {
    return this.#settings;
  }

  /**
   * Has another policy judge everything from here on, all or nothing. Open flows are judged again by what
   * is known of them, and those that it denies are cut on both sides at once. A policy alone replaces
   * the rules; a policy file, or {@link NetworkSettings}, also how names are resolved and what is opened of
   * TLS. Calls take their turn. With `dryRun` nothing changes, and the answer is what would.
   *
   * @throws SbxError `POLICY_FIXED` for settings that only a start can change: the network device itself, the
   * authority and what the guest trusts, limits, secrets; `FILE_UNREADABLE`, `POLICY_INVALID`, `TLS_INVALID`,
   * `STOPPED`, `USAGE`, and the signal's reason
   */
  async applyPolicy(
    next: Policy | NetworkSettings,
    options: ApplyOptions = {},
  ): Promise<PolicyChange> {
    const { dryRun = false, signal } = optionsOf("applyPolicy(…)", options, {
      dryRun: true,
      signal: true,
    });
    signal?.throwIfAborted();
    this.#requireOpen("apply the policy");
    // It comes into force, whether anybody waits for that or not.
    const applied = this.#applied.then(() => this.#apply(next, dryRun));
    this.#applied = applied.then(() => {}, () => {});
    return await this.#until(untilAborted(applied, signal), "apply the policy");
  }

  /** What `next` leaves out is as the one before it has left it. */
  async #apply(next: Policy | NetworkSettings, dryRun: boolean): Promise<PolicyChange> {
    const settings = nextOptions(this.#settings, next);
    const policy = policyOf({ ...settings, secrets: standingIn(settings.secrets) });
    const change = await this.#sandbox.client.applyPolicy(policy, dryRun);
    if (!dryRun) this.#settings = settings;
    return change;
  }

  /**
   * Leads a port of this machine to one of the guest, from now on.
   *
   * @throws SbxError `PORT_BUSY`, `PORT_UNAVAILABLE`, `POLICY_FIXED` without a network, `STOPPED`, `USAGE`, and
   * the signal's reason: the port may be open by then, as `published` says
   */
  async publish(
    publication: Publication,
    options: Abortable = {},
  ): Promise<readonly PublishedPort[]> {
    const wanted = requirePublication(publication);
    const signal = signalOf("publish(…)", options);
    this.#requireOpen("publish a port");
    const opened = this.#sandbox.client.publish(wanted).then((ports) => {
      this.#published = [...this.#published, ...ports];
      return ports;
    });
    return await this.#until(untilAborted(opened, signal), "publish a port");
  }

  /**
   * Stops listening on a port of this machine, on all of its addresses unless one is named, and cuts the
   * connections that came in there.
   *
   * @throws SbxError `PORT_MISSING`, `POLICY_FIXED` for the one that Lima reaches its guest by, `STOPPED`,
   * `USAGE`, and the signal's reason
   */
  async unpublish(port: PortSelection, options: Abortable = {}): Promise<Unpublished> {
    optionsOf("unpublish(…)", port, { address: true, port: true, protocol: true });
    const signal = signalOf("unpublish(…)", options);
    this.#requireOpen("unpublish a port");
    const closed = this.#sandbox.client.unpublish(port).then((closed) => {
      this.#published = this.#published.filter((open) => !closed.ports.some(isPort(open)));
      return closed;
    });
    return await this.#until(untilAborted(closed, signal), "unpublish a port");
  }

  /**
   * Waits until a server listens on a TCP port in the guest, on whatever address, and answers with the
   * addresses: `0.0.0.0` and `::` for all, `127.0.0.1` and `::1` for the guest alone.
   *
   * @throws SbxError `PORT_TIMEOUT`, `STOPPED`, `USAGE`, and the signal's reason
   */
  async waitForPort(port: number, options: WaitOptions = {}): Promise<readonly string[]> {
    optionsOf("waitForPort(…)", options, { timeoutMs: true, signal: true });
    this.#requireOpen("wait for a port");
    const waiting = this.#sandbox.client.waitForPort(port, options);
    return await this.#until(waiting, "wait for a port");
  }

  /**
   * A connection to a server on a TCP port of the guest, whatever address it listens on. It goes by the
   * host-guest channel, so it needs no network and no policy judges it. Failures, `CONNECTION_REFUSED` among
   * them, come out of its streams and `closed`.
   *
   * @throws SbxError `STOPPED`, `USAGE`, and the signal's reason
   */
  connect(port: number, options: ConnectOptions = {}): GuestConnection {
    this.#requireOpen(`connect to port ${port}`);
    return connectionTo(port, options, (port) => this.#sandbox.client.connect(port));
  }

  /**
   * Leads a TCP port of this machine to one of the guest by the way of {@link RunningSandbox.connect}, until it
   * is closed. It listens on 127.0.0.1 unless `bind` is another address. A connection that the guest refuses
   * is reset.
   *
   * @throws SbxError `PORT_BUSY`, `PORT_UNAVAILABLE`, `USAGE`, and the signal's reason
   */
  async forward(publication: Publication, options: Abortable = {}): Promise<Forwarding> {
    const { forward } = await import("../sandbox/forwarding.ts");
    const signal = signalOf("forward(…)", options);
    return await forward(publication, (port) => this.connect(port), signal);
  }

  /**
   * What happens from now on: lines of the journal, denials, notices, and the exit, which is the last.
   * Whoever reads too slowly gets a `lost` with the number of events that are missing in its place; what
   * waits for one reader is 10,000 events or some megabytes at most. Leaving the loop ends the reading.
   *
   * @throws SbxError `USAGE`, `STOPPED`
   */
  events(options: EventsOptions = {}): AsyncGenerator<SandboxEvent, void> {
    requireEvents(options);
    this.#requireOpen("follow");
    return this.#sandbox.client.events(options);
  }

  /**
   * Calls back once at the end of the sandbox, with the failure or with undefined when it was stopped; at
   * once when that was before. The function that is returned takes it back.
   *
   * @throws SbxError `USAGE`
   */
  onExit(listener: (error: SbxError | undefined) => void): () => void {
    let isWanted = true;
    callable("onExit(…)", listener);
    void this.ended.then((error) => isWanted ? listener(error) : undefined);
    return () => void (isWanted = false);
  }

  /**
   * What the sandbox uses now: processors and memory of this machine, memory in the guest, bytes and
   * flows of the network.
   *
   * @throws SbxError `STOPPED`, and the signal's reason
   */
  async metrics(options: Abortable = {}): Promise<SandboxMetrics> {
    const signal = signalOf("metrics(…)", options);
    this.#requireOpen("read the metrics");
    return await this.#until(this.#sandbox.client.metrics(signal), "read the metrics");
  }

  /**
   * Counts of flows, bytes and refusals so far, or until its end; undefined without a network.
   *
   * @throws SbxError the signal's reason
   */
  async summary(options: Abortable = {}): Promise<NetworkSummary | undefined> {
    const signal = signalOf("summary(…)", options);
    const { client, lifetime } = this.#sandbox;
    if (!lifetime.open) return this.#sandbox.lastSummary();
    return await client.summary(signal).catch((error) => {
      if (lifetime.open) throw error;
      return this.#sandbox.lastSummary();
    });
  }

  /**
   * Ends every command and the guest. Resolves when nothing of it is left; may be called again.
   *
   * @throws the signal's reason: it ends nevertheless
   */
  async stop(options: Abortable = {}): Promise<void> {
    const { signal } = optionsOf("stop(…)", options, { signal: true });
    await untilAborted(this.#sandbox.stop(), signal);
  }

  /** The end of `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** What a call that meets the end rejects with is the reason of the end. */
  async #until<T>(value: Promise<T>, doing: string): Promise<T> {
    return await this.#sandbox.lifetime.until(value, doing);
  }

  /** @internal */
  protected override changing = (doing: string): SupervisorClient => {
    this.#requireOpen(`${doing} the sandbox`);
    return this.#sandbox.client;
  };

  #requireOpen(doing: string): void {
    if (this.#sandbox.lifetime.open) return;
    throw new SbxError("STOPPED", `Cannot ${doing}: the sandbox was stopped`);
  }
}

/** Whether one is the other: they are told apart by where they listen. */
function isPort(one: PublishedPort): (other: PublishedPort) => boolean {
  return ({ address, port, protocol }) =>
    address === one.address && port === one.port && protocol === one.protocol;
}

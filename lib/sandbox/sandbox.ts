/**
 * A running sandbox as a program sees it.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { callable, optionsOf } from "../base/misuse.ts";
import type { PolicyChange } from "../journal/policy_change.ts";
import type { FileRequest } from "../guest/files.ts";
import type { FrozenDisk, Guest, HostProcess, TemplateUse } from "../guest/guest.ts";
import type { HeldMachine } from "../guest/saved.ts";
import type { NetworkSummary } from "../journal/summary.ts";
import type { Policy } from "../policy/model/policy.ts";
import type { Vault } from "../secret/vault.ts";
import type {
  ApplyChangesOptions,
  ApplyReport,
  Changes,
  ChangeSelection,
} from "./changes/change.ts";
import type { Copies } from "./changes/copies.ts";
import { type TextChanges, withPatches } from "./changes/texts.ts";
import { connectionTo, type ConnectOptions, type GuestConnection } from "./connection.ts";
import { SHARED_QUESTIONS } from "./ending.ts";
import { type Events, type EventsOptions, requireEvents, type SandboxEvent } from "./events.ts";
import { type ExecOptions, requireExec } from "./exec_options.ts";
import { FileOperation } from "./file_operation.ts";
import type { SandboxFiles } from "./files.ts";
import { GuestFiles } from "./guest_files.ts";
import { forward, type Forwarding } from "./forwarding.ts";
import type { Lifetime } from "./lifetime.ts";
import type { LivePolicy } from "./live_policy.ts";
import type { ApplyOptions, NetworkSettings } from "./live_settings.ts";
import type { Proven } from "../guest/lima/proof_part.ts";
import { readMetrics, type SandboxMetrics } from "./metrics.ts";
import type { Network } from "./network_spec.ts";
import { promptOf } from "./prompt.ts";
import type { NetworkOptions, Publication, PublishedPort, SandboxOptions } from "./options.ts";
import { SandboxProcess } from "./process.ts";
import { type PortSelection, requirePublication, type Unpublished } from "./publication.ts";
import { requireNoValue } from "./revealed.ts";
import { freezeDisk, holdMachine } from "./stand_still.ts";
import { Stillness, type Watch } from "./stillness.ts";
import { unpublish } from "./unpublish.ts";
import { waitForPort, type WaitOptions } from "./wait_for_port.ts";

/** The parts that a start put together. */
export interface SandboxParts {
  readonly options: SandboxOptions;
  readonly lifetime: Lifetime;
  readonly guest: Guest;
  /** Absent when the guest has no network device. */
  readonly network?: Network;
  /** What decides about the network; absent likewise. */
  readonly policy?: LivePolicy;
  readonly events: Events;
  /** Processes of this machine, beside the guest's own. */
  readonly processes: readonly HostProcess[];
  /** Variables of every command that hold the placeholders of secrets. */
  readonly placeholders: Readonly<Record<string, string>>;
  /** Whether the guest trusts an authority of its own, which opens what is intercepted. Absent: it does not. */
  readonly hasAuthority?: boolean;
  /** Whether several may use it at once. */
  readonly isShared: boolean;
  /** Has the machine ended from outside; see {@link TimeLimit}. */
  readonly watch: Watch;
  /** Absent when the guest has no secrets. */
  readonly vault?: Vault;
  /** The copies of directories that the guest has. Absent: it can have none. */
  readonly copies?: Copies;
  /** What the machine says on its console. Absent: nobody is to read it. */
  readonly console?: ReadableStream<Uint8Array>;
  /** Proves anew that the guest has no network but sbx, which ends with the proof. Absent: it cannot have one. */
  readonly prove?: () => Promise<readonly Proven[]>;
  /** Presses the power button, and waits for the guest's end so long. Absent: the machine has none. */
  readonly powerDown?: (limitMs: number) => Promise<void>;
}

/** A guest that runs, with its network. */
export class Sandbox implements AsyncDisposable {
  /** The guest's files. */
  readonly fs: SandboxFiles;
  readonly #parts: SandboxParts;
  readonly #stillness = new Stillness();
  readonly #startedAt = performance.now();

  /** @internal Sandboxes come from a builder's `create`. */
  constructor(parts: SandboxParts) {
    this.#parts = parts;
    const { guest, lifetime, options: { user } } = parts;
    this.fs = new GuestFiles({ guest, lifetime, ...(user === undefined ? {} : { user }) });
  }

  /** What runs the guest's code: `kvm`, `hvf` or `tcg` (emulation). */
  get accelerator(): string {
    return this.#parts.guest.accelerator;
  }

  /**
   * Whether the guest went on from a template: `used`; or booted, because none was kept for it yet
   * (`missing`), or because templates do not serve such guests, or are not wanted (`unserved`).
   */
  get template(): TemplateUse {
    return this.#parts.guest.template;
  }

  /** The ports that listen for the guest now, with the numbers that the system chose. */
  get published(): readonly PublishedPort[] {
    return this.#parts.network?.published ?? [];
  }

  /** @internal What its next start is to publish. */
  get publications(): readonly Publication[] {
    return this.#parts.network?.publications ?? [];
  }

  /** Resolves at the end of the sandbox: to the failure, or to undefined when it was stopped. */
  get ended(): Promise<SbxError | undefined> {
    return this.#parts.lifetime.ending;
  }

  /**
   * Starts a command. The streams are ready at once; failures to start come out of `exit`.
   *
   * @throws SbxError STOPPED, or USAGE for wrong options and for arguments and variables with the value of
   * a secret
   */
  exec(command: string, args: readonly string[] = [], options: ExecOptions = {}): SandboxProcess {
    const { guest, lifetime, options: own, placeholders } = this.#parts;
    requireExec(command, args, options);
    if (!lifetime.open) {
      throw new SbxError("STOPPED", `Cannot run ${escapeText(command)}: the sandbox was stopped`);
    }
    const { tty, signal } = options;
    signal?.throwIfAborted();
    const cwd = options.workdir ?? own.workdir;
    const user = options.user ?? own.user;
    this.#requireNoValue([command, ...args], { ...own.env, ...options.env });
    const process = guest.exec({
      argv: [command, ...args],
      env: {
        ...(tty === undefined ? {} : promptOf(own, user)),
        ...own.env,
        ...placeholders,
        ...options.env,
      },
      stdin: options.stdin ?? true,
      ...(cwd === undefined ? {} : { cwd }),
      ...(user === undefined ? {} : { user }),
      ...(options.closed === undefined ? {} : { closed: options.closed }),
      ...(tty === undefined ? {} : { tty: { cols: tty.columns, rows: tty.rows, term: tty.term } }),
    });
    const ms = options.timeoutMs ?? own.timeoutMs;
    return new SandboxProcess(process, lifetime, {
      ...(this.#parts.isShared ? { questions: SHARED_QUESTIONS } : {}),
      ...(ms === undefined ? {} : {
        limit: { ms, watch: (ms) => this.#stillness.limit(ms, this.#parts.watch) },
      }),
      stillness: this.#stillness,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  #requireNoValue(argv: readonly string[], env: Readonly<Record<string, string>>): void {
    const { vault } = this.#parts;
    if (vault === undefined) return;
    requireNoValue(vault, [
      ...argv.map((text, at) => [at === 0 ? "its name" : `its argument ${at}`, text] as const),
      ...Object.entries(env).map(([key, text]) =>
        [`its variable ${escapeText(key)}`, text] as const
      ),
    ]);
  }

  /** @internal A call about the guest's files, for who passes it on; programs have `fs`. @throws SbxError STOPPED */
  openFiles(request: FileRequest, signal: AbortSignal): FileOperation {
    return new FileOperation(this.#parts, request, signal);
  }

  /** What the network is judged by now; a change in it is {@link Sandbox.applyPolicy}. */
  get settings(): NetworkOptions {
    return this.#parts.policy?.options ?? this.#parts.options.network;
  }

  /**
   * Has another policy judge everything from here on, all or nothing. Open flows are judged again by what
   * is known of them, and those that it denies are cut on both sides at once. A policy alone replaces
   * the rules; a policy file, or {@link NetworkSettings}, also how names are resolved and what is opened of
   * TLS. Calls take their turn. With `dryRun` nothing changes, and the answer is what would.
   *
   * Secrets that the settings do not name are taken back; they can be given back as they were.
   *
   * @throws SbxError POLICY_FIXED for settings that only a start can change: the network device itself, the
   * authority and what the guest trusts, limits, any other change of secrets; FILE_UNREADABLE,
   * POLICY_INVALID, TLS_INVALID, STOPPED, USAGE
   */
  async applyPolicy(
    next: Policy | NetworkSettings,
    options: Pick<ApplyOptions, "dryRun"> = {},
  ): Promise<PolicyChange> {
    optionsOf("applyPolicy(…)", options, { dryRun: true });
    const { policy } = this.#network("apply the policy");
    return await this.#parts.lifetime.until(policy.apply(next, options), "apply the policy");
  }

  /**
   * What the guest changed in directories that are mounted as copies.
   *
   * @throws SbxError USAGE without one, FILE_UNREADABLE and the like for directories here, STOPPED, PROTOCOL
   */
  async diff(
    { patch = false, ...selection }: ChangeSelection & { readonly patch?: boolean } = {},
    signal?: AbortSignal,
  ): Promise<Changes> {
    return patch
      ? await withPatches(await this.changedTexts(selection, signal))
      : await this.#copies().diff(selection, signal);
  }

  /**
   * Takes over what the guest changed in copies.
   *
   * @throws SbxError CHANGES_MOVED, FILE_NOT_FOUND for paths where nothing changed, and as {@link Sandbox.diff}
   */
  async apply(options: ApplyChangesOptions = {}, signal?: AbortSignal): Promise<ApplyReport> {
    return await this.#copies().apply(options, signal);
  }

  /** @internal The changes of {@link Sandbox.diff}, with what small files hold. */
  async changedTexts(selection: ChangeSelection, signal?: AbortSignal): Promise<TextChanges> {
    return await this.#copies().texts(selection, signal);
  }

  #copies(): Copies {
    const { copies } = this.#parts;
    if (copies !== undefined) return copies;
    throw new SbxError("USAGE", "Cannot look for changes: such a guest has no copies", {
      hint: "'sbx cp' takes files out of it",
    });
  }

  /**
   * Leads a port of this machine to one of the guest, from now on.
   *
   * @throws SbxError PORT_BUSY, PORT_UNAVAILABLE, POLICY_FIXED without a network, STOPPED, USAGE
   */
  async publish(publication: Publication): Promise<readonly PublishedPort[]> {
    const { network } = this.#network("publish a port");
    const ports = network.publish(requirePublication(publication));
    return await this.#parts.lifetime.until(ports, "publish a port");
  }

  /**
   * Stops listening on a port of this machine, on all of its addresses unless one is named, and cuts the
   * connections that came in there.
   *
   * @throws SbxError PORT_MISSING, POLICY_FIXED for Lima's way into its guest, STOPPED, USAGE
   */
  unpublish(port: PortSelection): Unpublished {
    return unpublish(this.#network("unpublish a port").network, port);
  }

  /**
   * Waits until a server listens on a TCP port in the guest, on whatever address, and answers with the
   * addresses: `0.0.0.0` and `::` for all, `127.0.0.1` and `::1` for the guest alone.
   *
   * @throws SbxError PORT_TIMEOUT, STOPPED, USAGE, and the signal's reason
   */
  async waitForPort(port: number, options: WaitOptions = {}): Promise<readonly string[]> {
    optionsOf("waitForPort(…)", options, { timeoutMs: true, signal: true });
    const { guest, lifetime } = this.#parts;
    return await lifetime.until(waitForPort(guest, port, options), "wait for a port");
  }

  /**
   * A connection to a server on a TCP port of the guest, whatever address it listens on. It goes by the
   * host-guest channel, so it needs no network and no policy judges it. Failures, `CONNECTION_REFUSED` among
   * them, come out of its streams and `closed`.
   *
   * @throws SbxError STOPPED, USAGE, and the signal's reason
   */
  connect(port: number, options: ConnectOptions = {}): GuestConnection {
    const { guest, lifetime } = this.#parts;
    if (!lifetime.open) {
      throw new SbxError("STOPPED", `Cannot connect to port ${port}: the sandbox was stopped`);
    }
    return connectionTo(port, options, (port) => guest.connect(port));
  }

  /**
   * Leads a TCP port of this machine to one of the guest by the way of {@link Sandbox.connect}, until it is
   * closed. It listens on 127.0.0.1 unless `bind` is another address. A connection that the guest refuses
   * is reset.
   *
   * @throws SbxError PORT_BUSY, PORT_UNAVAILABLE, USAGE
   */
  async forward(publication: Publication): Promise<Forwarding> {
    return await forward(publication, (port) => this.connect(port));
  }

  /**
   * What happens from now on: lines of the journal, denials, notices, and the exit, which is the last.
   * Whoever reads too slowly gets a `lost` with the number of events that are missing in its place; what
   * waits for one reader is 10,000 events or some megabytes at most. Leaving the loop ends the reading.
   *
   * @throws SbxError USAGE
   */
  events(options: EventsOptions = {}): AsyncIterableIterator<SandboxEvent, void> {
    return this.#parts.events.read(requireEvents(options));
  }

  /**
   * Calls back once at the end of the sandbox, with the failure or with undefined when it was stopped; at
   * once when that was before. The function that is returned takes it back.
   *
   * @throws SbxError USAGE
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
   * @throws SbxError STOPPED
   */
  async metrics(): Promise<SandboxMetrics> {
    const { guest, processes, network, lifetime } = this.#parts;
    const reading = readMetrics({
      guest,
      processes,
      counts: () => network?.counts(),
      uptimeMs: () => performance.now() - this.#startedAt,
    });
    return await lifetime.until(reading, "read the metrics");
  }

  /** @internal Has whoever writes to its disk wait, until told to go on. @throws SbxError DISK_MISSING, STOPPED */
  async freeze(signal: AbortSignal): Promise<FrozenDisk> {
    return await freezeDisk(this.#parts, this.#stillness, signal);
  }

  /** @internal Has the machine stand still, saved, until it is released. @throws SbxError MEMORY_UNSAVABLE, STOPPED */
  async hold(signal: AbortSignal): Promise<HeldMachine> {
    return await holdMachine(this.#parts, this.#stillness, signal);
  }

  #network(doing: string): { readonly network: Network; readonly policy: LivePolicy } {
    const { lifetime, network, policy } = this.#parts;
    if (!lifetime.open) {
      throw new SbxError("STOPPED", `Cannot ${doing}: the sandbox was stopped`);
    }
    if (network !== undefined && policy !== undefined) return { network, policy };
    throw new SbxError("POLICY_FIXED", `Cannot ${doing}: the guest has no network device`, {
      hint: "start the sandbox again under a policy with a network",
    });
  }

  /** @internal What the machine says on its console, to be read once and to its end. */
  get console(): ReadableStream<Uint8Array> | undefined {
    return this.#parts.console;
  }

  /** @internal What of the guest was proven just now; undefined for a machine that needs no proof. */
  async prove(): Promise<readonly Proven[] | undefined> {
    const { prove, lifetime } = this.#parts;
    return prove === undefined ? undefined : await lifetime.until(prove(), "prove the network");
  }

  /** @internal Whether there is a power button, which {@link Sandbox.powerDown} presses. */
  get hasPowerButton(): boolean {
    return this.#parts.powerDown !== undefined;
  }

  /** @internal Resolves when the guest is off; one that takes longer is ended. */
  async powerDown(limitMs: number): Promise<void> {
    await this.#parts.powerDown?.(limitMs);
  }

  /** Counts of flows, bytes and refusals so far; undefined without a network. */
  summary(): NetworkSummary | undefined {
    return this.#parts.network?.summary();
  }

  /** Ends every command and the guest. Resolves when nothing of it is left; may be called again. */
  async stop(): Promise<void> {
    await this.#parts.lifetime.end();
  }

  /** The end of `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/**
 * Writes down what happens on one network: lines for the journal, denials for people, totals for the
 * summary.
 *
 * @module
 */
import { type Clock, systemClock } from "../base/clock.ts";
import { escapeText } from "../base/escape.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import type { DnsEvent } from "../dns/service.ts";
import type { FlowEvent } from "../flow/flow_event.ts";
import type { Exchange } from "../http/exchange.ts";
import type { Ruling } from "../judge/ruling.ts";
import type { Snapshot } from "../judge/snapshot.ts";
import type { ViolationAction } from "../policy/model/secret.ts";
import type { ReasonId } from "../policy/model/policy.ts";
import { formatRule } from "../policy/text/grammar.ts";
import type { SecretUse, SecretViolation } from "../secret/report.ts";
import type { Denials, DeniedAttempt } from "./denials.ts";
import { flowLine } from "./flow_line.ts";
import type { FlowLine, SuppressedLines, WhyLine } from "./format.ts";
import type { Journal } from "./journal.ts";
import { changeLine } from "./start_line.ts";
import { dnsRefusal, flowRefusal, type RelayedFlow, requestRefusal } from "./refusal_text.ts";

/** Journal lines about refusals, which cost a guest next to nothing and the disk a few hundred bytes. */
const REFUSALS_PER_SECOND = 500;
const REFUSALS_AT_ONCE = 10_000;

/** Those about what passed: far more than honest work makes, and no more than a disk can follow. */
const LINES_PER_SECOND = 2_000;
const LINES_AT_ONCE = 50_000;

/** There are fewer open flows; the bound only holds if netstack forgets to end them. */
const MAX_UNTOLD = 65_536;

type Suppressible = keyof SuppressedLines;

const NONE_SUPPRESSED: SuppressedLines = { denied: 0, dns: 0, opened: 0, closed: 0, request: 0 };

export class Recorder {
  /** Flows that reached their other side, and bytes of those that ended. */
  readonly totals = { flows: 0, up: 0, down: 0 };
  readonly #journal: Journal;
  readonly #denials: Denials;
  readonly #snapshot: () => Snapshot;
  readonly #refusals: TokenBucket;
  readonly #passed: TokenBucket;
  /** Open flows whose `opened` was left out, as their `closed` will be. */
  readonly #untold = new Set<number>();
  /** Lines that were left out since it was last told of them; null: none. */
  #suppressed: Record<Suppressible, number> | null = null;

  constructor(
    journal: Journal,
    denials: Denials,
    snapshot: () => Snapshot,
    clock: Clock = systemClock,
  ) {
    this.#journal = journal;
    this.#denials = denials;
    this.#snapshot = snapshot;
    this.#refusals = new TokenBucket(REFUSALS_PER_SECOND, REFUSALS_AT_ONCE, clock.now);
    this.#passed = new TokenBucket(LINES_PER_SECOND, LINES_AT_ONCE, clock.now);
  }

  /** The policy that everything from here on is judged by. */
  policy(): void {
    this.#journal.write(changeLine(this.#snapshot().compiled.policy));
  }

  flow(event: FlowEvent): void {
    const { info, ruling } = event;
    const line = flowLine(event.id, info, ruling);
    switch (event.kind) {
      case "denied":
      case "revoked":
        this.#deny(flowRefusal(this.#snapshot(), info, ruling));
        if (!this.#mayWrite("denied", this.#refusals)) return;
        return this.#refused(event.kind, { ...line, ...this.#why(ruling) });
      case "opened":
        this.totals.flows++;
        if (!this.#mayWrite("opened", this.#passed)) return this.#leaveOut(event.id);
        return this.#journal.write({
          event: "opened",
          ...line,
          ...this.#why(ruling),
          dialled: event.dialled,
        });
      case "closed": {
        if (ruling.reason === "dns") return; // its questions have lines of their own
        const { up, down, ms, end } = event;
        this.totals.up += up;
        this.totals.down += down;
        if (!this.#mayClose(event)) return;
        return this.#journal.write({ event: "closed", ...line, up, down, ms, end });
      }
    }
  }

  /** A request that sbx relayed or refused, when it is over. */
  request(flow: RelayedFlow, exchange: Exchange): void {
    const { request, status, up, down, ms, refused } = exchange;
    if (refused !== undefined && !NO_DENIALS.has(refused.reason)) {
      this.#deny(requestRefusal(this.#snapshot(), flow, exchange, refused));
    }
    const may = refused === undefined
      ? this.#mayWrite("request", this.#passed)
      : this.#mayWrite("denied", this.#refusals);
    if (!may) return;
    this.#journal.write({
      event: "request",
      flow: flow.id,
      ...(request === undefined ? {} : {
        method: escapeText(request.method),
        host: escapeText(request.host),
        path: escapeText(request.path),
      }),
      ...(status === undefined ? {} : { status }),
      up,
      down,
      ms: Math.round(ms),
      ...(refused === undefined ? {} : this.#why(refused)),
    });
  }

  /** What a request did with the secrets of its host. */
  secret(flow: number, use: SecretUse): void {
    if (!this.#mayWrite("request", this.#passed)) return;
    this.#journal.write({ event: "secret", flow, ...use, host: escapeText(use.host) });
  }

  secretViolation(violation: SecretViolation, action: ViolationAction): void {
    const { sightings, route, flow, to } = violation;
    if (!this.#mayWrite("denied", this.#refusals)) return;
    this.#journal.write({
      event: "secret-violation",
      ...(flow === undefined ? {} : { flow }),
      names: sightings.map(({ name }) => name),
      route,
      to: escapeText(to),
      disguises: sightings.map(({ disguise, escapes }) => `${disguise}${"%".repeat(escapes)}`),
      action,
    });
  }

  dns(event: DnsEvent): void {
    const { kind: _, name, detail, reason, alias: __, withheld: ___, ...rest } = event;
    if (reason !== undefined) {
      this.#deny(dnsRefusal(this.#snapshot(), { ...event, reason }), event.count);
    }
    if (!this.#mayWrite("dns", reason === undefined ? this.#passed : this.#refusals)) return;
    this.#journal.write({
      event: "dns",
      name: escapeText(name),
      ...rest,
      ...(reason === undefined ? {} : { reason }),
      ...(detail === undefined ? {} : { detail: escapeText(detail) }),
      ...this.#ruleText(event.rule),
    });
  }

  /** Writes down what was left out so far. */
  close(): void {
    this.#tellSuppressed();
    this.#denials.close();
  }

  /** A secret's placeholder gone astray is told of as such, where that is wanted at all. */
  #deny(attempt: DeniedAttempt, count?: number): void {
    const isTold = attempt.reason === "secret-violation";
    this.#denials.note(isTold ? { ...attempt, silent: true } : attempt, count);
  }

  #refused(event: "denied" | "revoked", line: FlowLine & WhyLine): void {
    this.#journal.write(event === "denied" ? { event, ...line } : { event, ...line });
  }

  #mayWrite(what: Suppressible, bucket: TokenBucket): boolean {
    if (!bucket.take()) {
      this.#suppress(what);
      return false;
    }
    this.#tellSuppressed();
    return true;
  }

  /** A flow has both its lines or neither, whatever the rate is when it ends. */
  #leaveOut(id: number): void {
    if (this.#untold.size < MAX_UNTOLD) this.#untold.add(id);
  }

  #mayClose({ id, opened }: FlowEvent & { kind: "closed" }): boolean {
    if (!opened) return this.#mayWrite("closed", this.#passed); // nobody answered: it is its only line
    if (!this.#untold.delete(id)) return true;
    this.#suppress("closed");
    return false;
  }

  #suppress(what: Suppressible): void {
    this.#suppressed ??= { ...NONE_SUPPRESSED };
    this.#suppressed[what]++;
  }

  #tellSuppressed(): void {
    const suppressed = this.#suppressed;
    if (suppressed === null) return;
    this.#suppressed = null;
    this.#journal.write({ event: "suppressed", ...suppressed });
  }

  #why({ reason, rule, detail }: Pick<Ruling, "reason" | "rule" | "detail">): WhyLine {
    return {
      reason,
      ...(rule === undefined ? {} : { rule }),
      ...this.#ruleText(rule),
      ...(detail === undefined ? {} : { detail: escapeText(detail) }),
    };
  }

  #ruleText(rule: number | undefined): { readonly ruleText?: string } {
    const text = rule === undefined ? undefined : this.#snapshot().compiled.policy.rules[rule];
    return text === undefined ? {} : { ruleText: formatRule(text) };
  }
}

/**
 * What was kept from the guest by a decision, its server's malformed answers among that. A server that fails is no
 * denial, and one that is not trusted was told of when it was dialled.
 */
const NO_DENIALS: ReadonlySet<ReasonId> = new Set([
  "upstream-untrusted",
  "upstream-tls",
  "upstream-closed",
  "mtls",
  "request-slow",
]);

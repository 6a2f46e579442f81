/**
 * Writes down what happens on one network: lines for the journal, denials for people, totals for the
 * summary.
 *
 * @module
 */
import { formatEndpoint } from "../base/address.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { escapeText } from "../base/escape.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import type { DnsEvent } from "../dns/service.ts";
import type { FlowInfo } from "../flow/control_message.ts";
import type { FlowEvent } from "../flow/flow_table.ts";
import type { Ruling } from "../flow/judge.ts";
import type { Exchange } from "../http/exchange.ts";
import { formatRule } from "../policy/grammar.ts";
import type { Policy, ReasonId } from "../policy/policy.ts";
import type { Denials } from "./denials.ts";
import { type FlowLine, type Journal, JOURNAL_VERSION, type WhyLine } from "./journal.ts";
import {
  dnsRefusal,
  flowRefusal,
  hasPorts,
  type RelayedFlow,
  requestRefusal,
} from "./refusal_text.ts";

/** Journal lines about refusals, which cost a guest next to nothing and the disk a few hundred bytes. */
const REFUSALS_PER_SECOND = 500;
const BURST = 10_000;

export class Recorder {
  /** Flows that reached their other side, and bytes of those that ended. */
  readonly totals = { flows: 0, up: 0, down: 0 };
  readonly #journal: Journal;
  readonly #denials: Denials;
  readonly #policy: () => Policy;
  readonly #bucket: TokenBucket;
  #suppressed = { denied: 0, dns: 0 };

  constructor(
    journal: Journal,
    denials: Denials,
    policy: () => Policy,
    clock: Clock = systemClock,
  ) {
    this.#journal = journal;
    this.#denials = denials;
    this.#policy = policy;
    this.#bucket = new TokenBucket(REFUSALS_PER_SECOND, BURST, clock.now);
  }

  /** The policy that everything from here on is judged by. */
  policy(event: "start" | "policy"): void {
    const { rules, defaults } = this.#policy();
    const line = { policy: rules.map(formatRule), defaults };
    if (event === "policy") return this.#journal.write({ event, ...line });
    this.#journal.write({ event, version: JOURNAL_VERSION, ...line });
  }

  flow(event: FlowEvent): void {
    const { info, ruling } = event;
    const line = flowLine(event.id, info, ruling);
    switch (event.kind) {
      case "denied":
      case "revoked":
        this.#denials.note(flowRefusal(this.#policy(), info, ruling));
        if (!this.#mayWrite("denied")) return;
        return this.#journal.write({ event: event.kind, ...line, ...this.#why(ruling) });
      case "opened":
        this.totals.flows++;
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
        return this.#journal.write({ event: "closed", ...line, up, down, ms, end });
      }
    }
  }

  /** A request that sbx relayed or refused, when it is over. */
  request(flow: RelayedFlow, exchange: Exchange): void {
    const { request, status, up, down, ms, refused } = exchange;
    if (refused !== undefined && isDenial(refused.reason)) {
      this.#denials.note(requestRefusal(this.#policy(), flow, exchange, refused));
    }
    if (refused !== undefined && !this.#mayWrite("denied")) return;
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

  dns(event: DnsEvent): void {
    const { kind: _, name, detail, reason, ...rest } = event;
    if (reason !== undefined) {
      this.#denials.note(dnsRefusal(this.#policy(), { ...event, reason }), event.count);
      if (!this.#mayWrite("dns")) return;
    }
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

  #mayWrite(what: "denied" | "dns"): boolean {
    if (!this.#bucket.take()) {
      this.#suppressed[what]++;
      return false;
    }
    this.#tellSuppressed();
    return true;
  }

  #tellSuppressed(): void {
    const { denied, dns } = this.#suppressed;
    if (denied + dns === 0) return;
    this.#suppressed = { denied: 0, dns: 0 };
    this.#journal.write({ event: "suppressed", denied, dns });
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
    const text = rule === undefined ? undefined : this.#policy().rules[rule];
    return text === undefined ? {} : { ruleText: formatRule(text) };
  }
}

/** A server that fails is no denial, and one that is not trusted was told of when it was dialled. */
function isDenial(reason: ReasonId): boolean {
  return !reason.startsWith("upstream-") && reason !== "mtls" && reason !== "request-slow";
}

function flowLine(flow: number, info: FlowInfo, { name, tls }: Ruling): FlowLine {
  const { proto, src, sport, dst, dport } = info;
  const end = (address: string, port: number) =>
    hasPorts(proto) ? formatEndpoint(address, port) : address;
  return {
    flow,
    direction: info.dir,
    protocol: proto,
    source: end(src, sport),
    destination: end(dst, dport),
    ...(name === undefined ? {} : { name: escapeText(name) }),
    ...(tls === undefined ? {} : { tls }),
  };
}

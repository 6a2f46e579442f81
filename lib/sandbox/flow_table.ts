/**
 * The live flows as sbx knows them, from netstack's question to its `closed`.
 *
 * ```
 * asked ─► denied
 *   ├───► inspected ─► asked again
 *   └───► allowed ─► opened ─► closed
 * ```
 *
 * @module
 */
import { formatEndpoint } from "../base/address.ts";
import { escapeText } from "../base/escape.ts";
import type { Pins } from "../dns/pins.ts";
import type { Control } from "../flow/control.ts";
import type { FlowInfo, FromNetstack } from "../flow/control_message.ts";
import { type Court, judgeFirst, judgeOpening, type Ruling, toVerdict } from "../flow/judge.ts";
import { formatRule } from "../policy/grammar.ts";
import type { Denials } from "./denials.ts";
import type { FlowLine, Journal } from "./journal.ts";

/** More cannot be alive in netstack; what is beyond is forgotten oldest first. */
const MAX_FLOWS = 65_536;

interface Live {
  readonly info: FlowInfo;
  readonly ruling: Ruling;
  opened: boolean;
}

export interface FlowTableSpec {
  readonly court: () => Court;
  readonly control: Pick<Control, "send">;
  readonly pins: Pins;
  readonly journal: Journal;
  readonly denials: Denials;
}

export class FlowTable {
  readonly #spec: FlowTableSpec;
  readonly #live = new Map<number, Live>();
  readonly totals = { flows: 0, up: 0, down: 0 };

  constructor(spec: FlowTableSpec) {
    this.#spec = spec;
  }

  take(message: FromNetstack): void {
    switch (message.t) {
      case "flow":
        return this.#ask(message.id, message, judgeOpening(this.#spec.court(), message));
      case "first": {
        const live = this.#live.get(message.id);
        if (live === undefined) return;
        const ruling = judgeFirst(this.#spec.court(), live.info, message.data);
        return this.#ask(message.id, live.info, ruling);
      }
      case "cached":
        return this.#cached(message.id, message);
      case "opened":
        return this.#opened(message.id, message.dial);
      case "closed":
        return this.#closed(message);
    }
  }

  #ask(id: number, info: FlowInfo, ruling: Ruling): void {
    const court = this.#spec.court();
    this.#spec.control.send(toVerdict(court, id, ruling));
    this.#note(id, info, ruling);
  }

  /** netstack decided by a verdict it was allowed to keep; the same judgement gives it a why. */
  #cached(id: number, info: FlowInfo): void {
    this.#note(id, info, judgeOpening(this.#spec.court(), info));
  }

  #note(id: number, info: FlowInfo, ruling: Ruling): void {
    if (ruling.action === "deny") {
      this.#live.delete(id);
      this.#spec.denials.flow(info, ruling);
      return this.#spec.journal.write({
        event: "denied",
        ...line(id, info, ruling),
        ...this.#why(ruling),
      });
    }
    this.#live.set(id, { info, ruling, opened: false });
    for (const oldest of this.#live.keys()) {
      if (this.#live.size <= MAX_FLOWS) break;
      this.#live.delete(oldest);
    }
  }

  #opened(id: number, dialled: string): void {
    const live = this.#live.get(id);
    if (live === undefined || live.opened) return;
    live.opened = true;
    this.totals.flows++;
    this.#spec.pins.hold(live.info.dst);
    const { info, ruling } = live;
    this.#spec.journal.write({
      event: "opened",
      ...line(id, info, ruling),
      ...this.#why(ruling),
      dialled,
    });
  }

  #closed({ id, up, down, ms, end }: FromNetstack & { t: "closed" }): void {
    const live = this.#live.get(id);
    if (live === undefined) return;
    this.#live.delete(id);
    if (live.opened) this.#spec.pins.release(live.info.dst);
    this.totals.up += up;
    this.totals.down += down;
    if (live.ruling.reason === "dns") return; // its queries have lines of their own
    this.#spec.journal.write({
      event: "closed",
      ...line(id, live.info, live.ruling),
      up,
      down,
      ms,
      end,
    });
  }

  #why({ reason, rule }: Ruling) {
    const text = rule === undefined ? undefined : this.#spec.court().policy.rules[rule];
    return {
      reason,
      ...(rule === undefined ? {} : { rule }),
      ...(text === undefined ? {} : { ruleText: formatRule(text) }),
    };
  }
}

function line(flow: number, info: FlowInfo, { name }: Ruling): FlowLine {
  const ports = info.proto === "tcp" || info.proto === "udp";
  const end = (address: string, port: number) => ports ? formatEndpoint(address, port) : address;
  return {
    flow,
    direction: info.dir,
    protocol: info.proto,
    source: end(info.src, info.sport),
    destination: end(info.dst, info.dport),
    ...(name === undefined ? {} : { name: escapeText(name) }),
  };
}

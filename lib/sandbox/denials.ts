/**
 * What people are told of denials: the first of a kind at once, the rest as counts, so that a guest
 * that retries in a loop cannot bury the line that matters.
 *
 * @module
 */
import { formatEndpoint } from "../base/address.ts";
import { escapeText } from "../base/escape.ts";
import type { FlowInfo } from "../flow/control_message.ts";
import { formatRule } from "../policy/grammar.ts";
import type { Policy, ReasonId } from "../policy/policy.ts";

/** One denial worth showing. */
export interface Denial {
  /** What was denied: `tcp 10.0.0.5:5432`, `dns ads.example`. */
  readonly target: string;
  readonly name?: string;
  readonly reason: ReasonId;
  readonly rule?: number;
  /** The flag that would allow it; absent where none would. */
  readonly allow?: string;
  /** All of it as one line for a person. */
  readonly line: string;
}

/** Kinds remembered; a guest that scans a network gets one line for all that come after. */
const MAX_KINDS = 256;

/** Lines a second; what comes faster is only counted. */
const LINES_PER_SECOND = 10;

const WORDS: Readonly<Partial<Record<ReasonId, string>>> = {
  default: "no rule allows it",
  unroutable: "the address is not routable",
  multicast: "multicast does not leave the guest",
  host: "it is an address of this machine",
  "dns-transport": "names are asked for over plain DNS here",
  "sni-invalid": "the name it states is malformed",
  "blocked-name": "the name is on the block list",
  "local-name": "the name is local to this machine",
  rebind: "the answer points inside (DNS rebinding)",
};

export class Denials {
  readonly #policy: () => Policy;
  readonly #listener: (denial: Denial) => void;
  readonly #counts = new Map<string, number>();
  #total = 0;
  #window = 0;
  #inWindow = 0;

  constructor(policy: () => Policy, listener: (denial: Denial) => void) {
    this.#policy = policy;
    this.#listener = listener;
  }

  get total(): number {
    return this.#total;
  }

  flow(info: FlowInfo, why: { reason: ReasonId; rule?: number; name?: string }): void {
    const inbound = info.dir === "inbound";
    const address = inbound ? info.src : info.dst;
    const ports = info.proto === "tcp" || info.proto === "udp";
    const place = ports && !inbound ? formatEndpoint(address, info.dport) : address;
    const target = inbound
      ? `${info.proto} from ${place} to port ${info.dport}`
      : `${info.proto} ${place}`;
    const name = why.name === undefined ? undefined : escapeText(why.name);
    this.#note(
      target,
      { ...why, ...(name === undefined ? {} : { name }) },
      allowFlag(info, why.reason, name),
    );
  }

  dns(name: string, why: { reason: ReasonId; rule?: number }): void {
    const shown = escapeText(name);
    const openable = why.reason === "default" || why.reason === "rule";
    this.#note(`dns ${shown}`, why, openable ? `--allow ${shown}` : undefined);
  }

  /** The most frequent denials, for the summary. */
  top(count: number): { readonly target: string; readonly count: number }[] {
    return [...this.#counts]
      .map(([target, times]) => ({ target, count: times }))
      .sort((a, b) => b.count - a.count)
      .slice(0, count);
  }

  #note(
    target: string,
    why: { reason: ReasonId; rule?: number; name?: string },
    allow: string | undefined,
  ): void {
    this.#total++;
    const before = this.#counts.get(target);
    if (before !== undefined || this.#counts.size < MAX_KINDS) {
      this.#counts.set(target, (before ?? 0) + 1);
    }
    if (before !== undefined || this.#counts.size >= MAX_KINDS || !this.#mayPrint()) return;
    const name = why.name === undefined ? "" : ` (${why.name})`;
    const hint = allow === undefined ? "" : `; ${allow} would allow it`;
    this.#listener({
      target,
      ...why,
      ...(allow === undefined ? {} : { allow }),
      line: `denied ${target}${name}: ${this.#because(why)}${hint}`,
    });
  }

  #because({ reason, rule }: { reason: ReasonId; rule?: number }): string {
    const denied = rule === undefined ? undefined : this.#policy().rules[rule];
    if (denied !== undefined) return `rule ${rule} ${formatRule(denied)}`;
    return WORDS[reason] ?? reason;
  }

  #mayPrint(): boolean {
    const now = Math.floor(performance.now() / 1000);
    if (now !== this.#window) [this.#window, this.#inWindow] = [now, 0];
    return ++this.#inWindow <= LINES_PER_SECOND;
  }
}

/** The shortest option that would have let the flow pass. */
function allowFlag(info: FlowInfo, reason: ReasonId, name: string | undefined): string | undefined {
  if (reason === "dns-transport" || reason === "sni-invalid") return undefined;
  if (info.dir === "inbound") return `--rule allow:inbound@${info.src}:${info.proto}:${info.dport}`;
  const ports = info.proto === "tcp" || info.proto === "udp";
  if (!ports) return `--rule allow@${bracketed(info.dst)}:${info.proto}`;
  return `--allow ${name ?? bracketed(info.dst)}:${info.dport}`;
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

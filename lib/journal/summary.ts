/**
 * The last words about a network: what went through, what was refused.
 *
 * @module
 */
import { plural } from "../base/plural.ts";
import type { DenialCount, Denials } from "./denials.ts";

/** Counts since the start. */
export interface NetworkSummary {
  /** Flows that reached their other side. */
  readonly flows: number;
  /** Bytes of the guest to its peers. */
  readonly up: number;
  /** Bytes of its peers to the guest. */
  readonly down: number;
  /** Flows and names that were denied, attempt by attempt. */
  readonly denied: number;
  /** What was denied most often. */
  readonly topDenied: readonly DenialCount[];
  /** One line for a person. */
  readonly line: string;
}

const TOP = 3;

export function summarize(
  totals: { readonly flows: number; readonly up: number; readonly down: number },
  denials: Pick<Denials, "total" | "top">,
): NetworkSummary {
  const denied = denials.total;
  const { kinds, others } = denials.top(TOP);
  const flows = `${plural(totals.flows, "flow")} opened`;
  const what = kinds.map(({ target, count }) => `${target} × ${count}`);
  if (others > 0) what.push(`others × ${others}`);
  const line = denied === 0
    ? `${flows}, nothing denied`
    : `${flows}, ${denied} denied: ${what.join(", ")}`;
  return { ...totals, denied, topDenied: kinds, line };
}

/** What a limit of netstack's refused, with the option that raises it. */
export function limitNotice(
  what: string,
  count: number,
  limits: { readonly maxConnections?: number; readonly newFlowsPerSecond?: number },
): string {
  const flows = `refused ${plural(count, "new flow")}`;
  switch (what) {
    case "flows":
      return limits.maxConnections === undefined
        ? `${flows}: as many are open as netstack can hold`
        : `${flows}: ${limits.maxConnections} are open; a higher --max-connections would allow more`;
    case "questions":
      return `refused ${plural(count, "new flow")} to the resolver: as many are open as may be`;
    case "descriptors":
      return `${flows}: as many are open as this process may have files; see 'ulimit -n'`;
    case "rate":
      return `${flows}: more than ${limits.newFlowsPerSecond} in a second`;
    case "pending":
      return `${flows}: too many wait for a verdict`;
    case "intercepted":
      return `${flows}: as many are open as can be intercepted at the same time`;
    case "relayed":
      return `${flows}: as many of plain HTTP are open as can be relayed at the same time`;
    case "udp":
      return `ended ${plural(count, "UDP flow")} that had been idle longest: too many were open`;
    case "ping-unavailable":
      return "this machine lets nobody ping: see net.ipv4.ping_group_range";
    default:
      return `${flows}: limit ${what}`;
  }
}

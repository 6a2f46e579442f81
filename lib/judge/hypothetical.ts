/**
 * From a flow as people write it, `tcp api.example.com:443`, to one that can be played.
 *
 * @module
 */
import { LINK } from "../base/link.ts";
import type { Direction, Protocol } from "../policy/model/policy.ts";
import type { FirstWords } from "./first_bytes.ts";
import type { FlowInfo } from "./flow_info.ts";
import { intercepts } from "./opening.ts";
import type { SimulatedFlow } from "./simulate.ts";
import type { Snapshot } from "./snapshot.ts";

export interface Hypothetical {
  readonly direction: Direction;
  readonly protocol: Protocol;
  /** Outbound where it goes, inbound where it comes from; canonical. */
  readonly address: string;
  /** Absent for ICMP. */
  readonly port?: number;
  /** The name it states, canonical; absent when it states none. */
  readonly name?: string;
}

/** Where clients speak plain HTTP, and state a name in their Host field. */
const HTTP_PORTS: ReadonlySet<number> = new Set([80, 8000, 8080]);

/** Any port will do: nothing depends on it. */
const EPHEMERAL = 40_000;

export function hypotheticalFlow(snapshot: Snapshot, flow: Hypothetical): SimulatedFlow {
  const { direction, protocol, address, port = 0, name } = flow;
  const guest = address.includes(":") ? LINK.guest.ip6 : LINK.guest.ip4;
  const [src, dst] = direction === "outbound" ? [guest, address] : [address, guest];
  const info = { proto: protocol, dir: direction, src, sport: EPHEMERAL, dst, dport: port };
  return { info, first: wordsOf(snapshot, info, name) };
}

/** What a client says that means to state the name, or none. */
export function wordsOf(snapshot: Snapshot, info: FlowInfo, name: string | undefined): FirstWords {
  const named = name === undefined ? {} : { sni: name };
  if (intercepts(snapshot, info)) return { kind: "tls", ...named };
  if (name === undefined) return { kind: "nothing" };
  return HTTP_PORTS.has(info.dport) ? { kind: "http", host: name } : { kind: "tls", ...named };
}

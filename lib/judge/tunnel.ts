/**
 * A flow inside a flow: the tunnel that a proxy granted for CONNECT, read like a flow of its own. Pure.
 *
 * ```
 * first ──► open ──► passing     neither TLS nor HTTP
 *   ├─────────┴────► refused     a denied name, or one that cannot be told for sure
 *   ├──► passing                 TLS for a name that may pass
 *   └──► requests                each is judged by its relay
 * ```
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Refusal } from "../http/exchange.ts";
import type { TunnelReader, TunnelStep } from "../http/tunnel_reader.ts";
import { FlightReader } from "./flight_reader.ts";
import type { FlowInfo } from "./flow_info.ts";
import { judgeNamed } from "./named.ts";
import { refusalOf } from "./request.ts";
import type { Snapshot } from "./snapshot.ts";
import { statedName } from "./stated_name.ts";

/** As much as netstack waits for, of a flow. */
const MAX_FIRST = 32 * 1024;

/**
 * `info`: of the flow to the proxy, whose address and port rules go by. `snapshot`: the one in force.
 * `onStated` is told the name that passed.
 */
export function tunnelReader(
  snapshot: () => Snapshot,
  info: FlowInfo,
  onStated: (name: string) => void,
): TunnelReader {
  return new FirstOfTunnel((bytes) => judgeTunnel(snapshot(), info, onStated, bytes));
}

type Meaning = "bytes" | "requests" | Refusal;

/** What the first bytes say, now that there is no more to learn of them. */
function judgeTunnel(
  snapshot: Snapshot,
  info: FlowInfo,
  onStated: (name: string) => void,
  first: Uint8Array,
): Meaning {
  const stated = statedName(first, "complete");
  if (stated.kind === "invalid") return { reason: "sni-invalid", detail: stated.why };
  if (stated.http !== undefined) return "requests";
  const name = stated.kind === "name" ? stated.name : undefined;
  const refusal = refusalOf(judgeNamed(snapshot, info, name));
  if (refusal !== null) return name === undefined ? refusal : { detail: name, ...refusal };
  if (name !== undefined) onStated(name);
  return "bytes";
}

class FirstOfTunnel implements TunnelReader {
  readonly #judge: (first: Uint8Array) => Meaning;
  readonly #reader = new FlightReader();
  #held: Buffer[] = [];
  #size = 0;
  #state: "first" | "open" | "passing" = "first";

  constructor(judge: (first: Uint8Array) => Meaning) {
    this.#judge = judge;
  }

  push(bytes: Buffer): TunnelStep {
    if (this.#state === "passing") return { kind: "bytes", bytes };
    const seen = this.#reader.push(bytes);
    this.#size += bytes.length;
    if (this.#state === "open") return this.#watched(bytes, seen === "whole", seen === "opaque");
    this.#held.push(Buffer.from(bytes)); // whose memory its sender may use again
    if (seen === "partial") {
      return this.#size < MAX_FIRST ? { kind: "held" } : refused("an endless request");
    }
    const all = Buffer.concat(this.#held);
    this.#held = [];
    const meaning = seen === "whole" ? this.#judge(all) : "bytes";
    if (typeof meaning === "object") return { kind: "refused", refusal: meaning };
    this.#state = seen === "open" ? "open" : "passing";
    return { kind: meaning, bytes: all };
  }

  /** No server of TLS or HTTP speaks before it is asked. */
  heard(): void {
    if (this.#state === "open") this.#state = "passing";
  }

  end(): Refusal | null {
    if (this.#held.length === 0) return null;
    return { reason: "sni-invalid", detail: "an unfinished request" };
  }

  /** What has gone out already could not be relayed any more. */
  #watched(bytes: Buffer, whole: boolean, opaque: boolean): TunnelStep {
    if (whole) return refused("a request behind other bytes");
    if (opaque) this.#state = "passing";
    return { kind: "bytes", bytes };
  }
}

function refused(detail: string): TunnelStep {
  return { kind: "refused", refusal: { reason: "sni-invalid", detail } };
}

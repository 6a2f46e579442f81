/**
 * A flow inside a flow: the tunnel that a proxy granted for CONNECT, read like a flow of its own. Pure.
 *
 * ```
 * first ─┬─► open ──► passing      neither TLS nor HTTP
 *        │     └────► refused      a request behind it
 *        ├─► hello ─┬► passing     TLS for a name that may pass, and its server has answered
 *        │          ├► retry ──► passing     it asked for a second hello, which states the same
 *        │          └► plain ──► refused     it speaks no TLS, and hears no more
 *        ├─► requests              each is judged by its relay
 *        └─► refused               a denied name, or one that cannot be told for sure
 * ```
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Refusal } from "../http/exchange.ts";
import type { TunnelReader, TunnelStep } from "../http/tunnel_reader.ts";
import { AnswerReader, isAlert } from "../tls/server_answer.ts";
import { judgeRetry, NO_TLS } from "./first_flight.ts";
import { FlightReader } from "./flight_reader.ts";
import type { FlowInfo } from "./flow_info.ts";
import { judgeNamed } from "./named.ts";
import { refusalOf } from "./request.ts";
import { SecondHello } from "./second_hello.ts";
import type { Snapshot } from "./snapshot.ts";
import { statedName } from "./stated_name.ts";

/** As much as netstack waits for, of a flow. */
const MAX_FIRST = 32 * 1024;

/** What may come before a server has answered a hello: early data that is under way. */
const MAX_BEHIND = 256 * 1024;

/**
 * `info`: of the flow to the proxy, whose address and port rules go by. `snapshot`: the one in force.
 * `onStated` is told the name that passed.
 */
export function tunnelReader(
  snapshot: () => Snapshot,
  info: FlowInfo,
  onStated: (name: string) => void,
): TunnelReader {
  return new FirstOfTunnel(new TunnelJudge(snapshot, info, onStated));
}

type Meaning = "bytes" | "hello" | "requests" | Refusal;

class TunnelJudge {
  readonly #snapshot: () => Snapshot;
  readonly #info: FlowInfo;
  readonly #onStated: (name: string) => void;
  #name: string | undefined;

  constructor(snapshot: () => Snapshot, info: FlowInfo, onStated: (name: string) => void) {
    this.#snapshot = snapshot;
    this.#info = info;
    this.#onStated = onStated;
  }

  /** What the first bytes say, now that there is no more to learn of them. */
  first(bytes: Uint8Array): Meaning {
    const stated = statedName(bytes, "complete");
    if (stated.kind === "invalid") return { reason: "sni-invalid", detail: stated.why };
    if (stated.http !== undefined) return "requests";
    const name = this.#name = stated.kind === "name" ? stated.name : undefined;
    const refusal = refusalOf(judgeNamed(this.#snapshot(), this.#info, name));
    if (refusal !== null) return name === undefined ? refusal : { detail: name, ...refusal };
    if (name !== undefined) this.#onStated(name);
    return stated.hello === undefined ? "bytes" : "hello";
  }

  /** Null: the second hello may pass. */
  second(bytes: Uint8Array): Refusal | null {
    const passed = {
      info: this.#info,
      ruling: { action: "allow", reason: "default" },
      stated: this.#name,
    } as const;
    return refusalOf(judgeRetry(this.#snapshot(), passed, bytes, "complete").ruling);
  }
}

class FirstOfTunnel implements TunnelReader {
  readonly #judge: TunnelJudge;
  readonly #reader = new FlightReader();
  readonly #answer = new AnswerReader();
  readonly #second = new SecondHello();
  #held: Buffer[] = [];
  #size = 0;
  /** What is held was not looked for a second hello yet. */
  #unseen = true;
  #state: "first" | "open" | "hello" | "retry" | "plain" | "passing" = "first";

  constructor(judge: TunnelJudge) {
    this.#judge = judge;
  }

  push(bytes: Buffer): TunnelStep {
    switch (this.#state) {
      case "passing":
        return { kind: "bytes", bytes: this.#release(bytes) };
      case "first":
        return this.#first(bytes);
      case "open":
        return this.#watched(bytes);
      case "hello":
        this.#hold(bytes);
        return this.#size <= MAX_BEHIND ? WAITS : refused("an endless ClientHello");
      case "retry":
        return this.#retry(bytes);
      case "plain":
        if (this.#size > 0 || (bytes.length > 0 && !isAlert(bytes))) return refused(NO_TLS);
        return WAITS; // of no use to such a server
    }
  }

  /** No server of TLS or HTTP speaks before it is asked. */
  heard(bytes: Buffer, spoken: boolean): boolean {
    if (this.#state === "open" && spoken) this.#state = "passing";
    if (this.#state !== "hello") return false;
    const answer = this.#answer.push(bytes);
    if (answer === "unheard") return false;
    this.#state = answer === "other" ? "passing" : answer;
    return this.#size > 0;
  }

  end(): Refusal | null {
    // A client that was asked for another hello may give up, and says so at most.
    const leaves = this.#state === "retry" && this.#second.bytes.length === 0;
    if (this.#size === 0 || leaves) return null;
    return { reason: "sni-invalid", detail: "an unfinished request" };
  }

  #first(bytes: Buffer): TunnelStep {
    const seen = this.#reader.push(bytes);
    this.#hold(bytes);
    if (seen === "partial") {
      return this.#size < MAX_FIRST ? { kind: "held" } : refused("an endless request");
    }
    const all = this.#release();
    const meaning = seen === "whole" ? this.#judge.first(all) : "bytes";
    if (typeof meaning === "object") return { kind: "refused", refusal: meaning };
    if (meaning === "hello") {
      this.#state = "hello";
      this.#hold(all.subarray(this.#reader.length));
      return { kind: "bytes", bytes: all.subarray(0, this.#reader.length) };
    }
    this.#state = seen === "open" ? "open" : "passing";
    return { kind: meaning, bytes: all };
  }

  /** What has gone out already could not be relayed any more. */
  #watched(bytes: Buffer): TunnelStep {
    const seen = this.#reader.push(bytes);
    if (seen === "whole") return refused("a request behind other bytes");
    if (seen === "opaque") this.#state = "passing";
    return { kind: "bytes", bytes };
  }

  #retry(bytes: Buffer): TunnelStep {
    // What came before the server asked is looked at now.
    const unseen = this.#unseen ? this.#release(bytes) : bytes;
    this.#unseen = false;
    this.#hold(unseen);
    if (!this.#second.push(unseen)) {
      return this.#size <= MAX_BEHIND ? { kind: "held" } : refused("an endless ClientHello");
    }
    const refusal = this.#judge.second(this.#second.bytes);
    if (refusal !== null) return { kind: "refused", refusal };
    this.#state = "passing";
    return { kind: "bytes", bytes: this.#release() };
  }

  #hold(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#held.push(Buffer.from(bytes)); // whose memory its sender may use again
    this.#size += bytes.length;
  }

  /** What was held, and these behind it. */
  #release(bytes: Buffer = NOTHING): Buffer {
    if (this.#size === 0) return bytes;
    const all = Buffer.concat([...this.#held, bytes]);
    this.#held = [];
    this.#size = 0;
    return all;
  }
}

const NOTHING = Buffer.alloc(0);

/** For the server's word, as long as that takes. */
const WAITS: TunnelStep = { kind: "bytes", bytes: NOTHING };

function refused(detail: string): TunnelStep {
  return { kind: "refused", refusal: { reason: "sni-invalid", detail } };
}

/**
 * The flows of one guest as sbx knows them, from netstack's question to its `closed`.
 *
 * ```
 * asked ──► denied                                        forgotten at once
 *   ├─────► allowed ──opened──► open ──closed──►          pins held while open
 *   └─────► inspected ──first──► denied | allowed | watched | intercepted | relayed
 *                                watched ──opened──► open, and judged once more by its first bytes
 *                  intercepted, relayed ──dialled──► open, served by sbx itself
 *                       open ──policy changed──► revoked ──closed──►
 * ```
 *
 * Every ruling is sent to netstack and told to the listener; whatever netstack says about a flow that
 * is not in the table is about one that ended, and is nobody's business any more.
 *
 * @module
 */
import type { Control } from "./control.ts";
import type { FlowEnd, FlowInfo, FromNetstack } from "./control_message.ts";
import type { ClientHello } from "../tls/client_hello.ts";
import { type Court, judgeNamed, judgeOpening, type Ruling, toVerdict } from "./judge.ts";
import { judgeFirst } from "./judge_first.ts";

/** netstack keeps fewer flows alive; the bound only holds if it misbehaves. */
const MAX_FLOWS = 65_536;

/** What happened to a flow. `ruling` is the one in force. */
export type FlowEvent =
  | FlowNote & { readonly kind: "denied" }
  | FlowNote & { readonly kind: "opened"; readonly dialled: string }
  /** A live flow was cut because policy no longer allows it. */
  | FlowNote & { readonly kind: "revoked" }
  | FlowNote & {
    readonly kind: "closed";
    readonly up: number;
    readonly down: number;
    readonly ms: number;
    readonly end: FlowEnd;
  };

interface FlowNote {
  readonly id: number;
  readonly info: FlowInfo;
  readonly ruling: Ruling;
}

interface Flow {
  readonly info: FlowInfo;
  ruling: Ruling;
  /** What the flow itself stated; never a name that was only pinned. */
  stated: string | undefined;
  /** What an intercepted flow said. */
  hello: ClientHello | undefined;
  /** It is plain HTTP, whose requests sbx relays. */
  http: boolean;
  /** netstack was told to dial, or to hand the flow over. */
  passed: boolean;
  open: boolean;
  /** sbx serves it, and knows better than netstack how it ended. */
  served: boolean;
  /** How, as far as sbx knows. */
  end: FlowEnd | undefined;
  /** What netstack said of its end, while sbx has not. */
  closing: (FromNetstack & { t: "closed" }) | undefined;
}

/** Ends that netstack sees of a served flow are those of the cable; its other ends are its own doing. */
const SEEN: ReadonlySet<FlowEnd> = new Set(["eof", "reset-guest", "reset-upstream"]);

/** A flow that sbx is to open. */
export interface InterceptedFlow {
  readonly info: FlowInfo;
  readonly ruling: Ruling;
  readonly hello: ClientHello;
}

/** A flow whose requests sbx is to relay. */
export type PlainHttpFlow = Omit<InterceptedFlow, "hello">;

export interface FlowTableSpec {
  /** The one in force; asked anew for every ruling. */
  readonly court: () => Court;
  readonly control: Pick<Control, "send">;
  /** Pins of an address that a flow uses stay alive. */
  readonly pins: { hold(address: string): void; release(address: string): void };
  readonly onEvent: (event: FlowEvent) => void;
}

export class FlowTable {
  readonly #spec: FlowTableSpec;
  readonly #flows = new Map<number, Flow>();

  constructor(spec: FlowTableSpec) {
    this.#spec = spec;
  }

  /** Flows that netstack was not told to refuse and that have not ended. */
  get size(): number {
    return this.#flows.size;
  }

  /** Whether any flow has an end to tell yet. */
  get hasOpen(): boolean {
    return this.#flows.values().some(({ open }) => open);
  }

  /** Ends all flows. netstack tells the end of each that was open, with its bytes. */
  killAll(): void {
    for (const [id, { passed }] of this.#flows) {
      if (passed) this.#spec.control.send({ t: "kill", id });
    }
  }

  take(message: FromNetstack): void {
    switch (message.t) {
      case "flow":
        return this.#ask(message);
      case "first":
        return this.#first(message);
      case "cached":
        return this.#cached(message);
      case "opened":
        return this.#open(message.id, message.dial);
      case "closed":
        return this.#closed(message);
      case "gone":
        return this.#forget(message.id);
    }
  }

  /** Cuts what the court in force would no longer allow. Names are those that the flows stated. */
  judgeAgain(): void {
    const court = this.#spec.court();
    for (const [id, flow] of this.#flows) {
      if (!flow.passed) continue;
      const ruling = judgeNamed(court, flow.info, flow.stated);
      const { tls } = flow.ruling;
      if (ruling.action === "allow") flow.ruling = tls === undefined ? ruling : { ...ruling, tls };
      else this.#revoke(id, flow, ruling);
    }
  }

  #revoke(id: number, flow: Flow, ruling: Ruling): void {
    flow.passed = false;
    this.#spec.control.send({ t: "kill", id });
    this.#spec.onEvent({
      kind: "revoked",
      id,
      info: flow.info,
      ruling: { ...ruling, action: "deny" },
    });
  }

  #ask(message: FromNetstack & { t: "flow" }): void {
    const court = this.#spec.court();
    const ruling = judgeOpening(court, message);
    this.#spec.control.send(toVerdict(court, message.id, ruling));
    this.#begin(message.id, message, ruling);
  }

  /** netstack repeated a ruling. The same judgement again tells why, and whether it still holds. */
  #cached(message: FromNetstack & { t: "cached" }): void {
    const { id, action } = message;
    const ruling = judgeOpening(this.#spec.court(), message);
    const flow = this.#begin(id, message, { ...ruling, action });
    if (flow !== null && ruling.action !== action) this.#revoke(id, flow, ruling);
  }

  #begin(id: number, info: FlowInfo, ruling: Ruling): Flow | null {
    this.#forget(id); // asked again, because the policy changed meanwhile
    if (ruling.action === "deny") {
      this.#spec.onEvent({ kind: "denied", id, info, ruling });
      return null;
    }
    const passed = ruling.action === "allow";
    const said = { stated: undefined, hello: undefined, http: false };
    const ending = { served: false, end: undefined, closing: undefined };
    const flow: Flow = { info, ruling, ...said, passed, open: false, ...ending };
    this.#flows.set(id, flow);
    for (const oldest of this.#flows.keys()) {
      if (this.#flows.size <= MAX_FLOWS) break;
      this.#forget(oldest);
    }
    return flow;
  }

  #first({ id, data, end }: FromNetstack & { t: "first" }): void {
    const flow = this.#flows.get(id);
    if (flow === undefined) return;
    const court = this.#spec.court();
    const { ruling, stated, hello, http } = judgeFirst(court, flow.info, data, end);
    this.#spec.control.send(toVerdict(court, id, ruling));
    flow.ruling = ruling;
    flow.stated = stated;
    flow.hello = hello;
    flow.http = http === true;
    flow.passed = ruling.action !== "deny";
    if (ruling.action !== "deny") return;
    this.#spec.onEvent({ kind: "denied", id, info: flow.info, ruling });
    // One whose server was dialled already still has its end to tell.
    if (!flow.open) this.#forget(id);
  }

  /** The flow that netstack hands over, if it is one to open; null when it has ended meanwhile. */
  intercepted(id: number): InterceptedFlow | null {
    const flow = this.#flows.get(id);
    if (flow?.hello === undefined || !flow.passed) return null;
    flow.served = true;
    const { info, ruling, hello } = flow;
    return { info, ruling, hello };
  }

  /** The flow that netstack hands over, if its requests are to be relayed; null likewise. */
  plainHttp(id: number): PlainHttpFlow | null {
    const flow = this.#flows.get(id);
    if (flow === undefined || !flow.http || !flow.passed) return null;
    flow.served = true;
    return { info: flow.info, ruling: flow.ruling };
  }

  /** sbx dialled the server of a flow that it was handed. */
  dialled(id: number, address: string): void {
    this.#open(id, address);
  }

  /** An intercepted flow goes no further. Its end is still to come. */
  refuse(id: number, why: Pick<Ruling, "reason" | "detail">): void {
    const flow = this.#flows.get(id);
    if (flow === undefined || !flow.passed) return;
    const { rule: _, ...ruling } = flow.ruling;
    flow.ruling = { ...ruling, ...why, action: "deny" };
    flow.passed = false;
    flow.end ??= "denied";
    this.#spec.onEvent({ kind: "denied", id, info: flow.info, ruling: flow.ruling });
  }

  /** A served flow ended; the first word counts. Without one, what netstack saw is all there is. */
  ended(id: number, end?: FlowEnd): void {
    const flow = this.#flows.get(id);
    if (flow === undefined) return;
    flow.end ??= end;
    flow.served = false;
    if (flow.closing !== undefined) this.#closed(flow.closing);
  }

  /** Nothing more will be heard of any flow. */
  close(): void {
    for (const id of [...this.#flows.keys()]) this.ended(id);
  }

  #open(id: number, dial: string): void {
    const flow = this.#flows.get(id);
    if (flow === undefined || flow.open) return;
    flow.open = true;
    const { info, ruling } = flow;
    if (info.dir === "outbound") this.#spec.pins.hold(info.dst);
    this.#spec.onEvent({ kind: "opened", id, info, ruling, dialled: dial });
  }

  #closed(message: FromNetstack & { t: "closed" }): void {
    const { id, up, down, ms } = message;
    const flow = this.#flows.get(id);
    if (flow === undefined) return;
    // The two channels of netstack race: sbx may not have read the flow's last bytes yet.
    if (flow.served && SEEN.has(message.end)) return void (flow.closing = message);
    this.#forget(id);
    const { info, ruling } = flow;
    const end = SEEN.has(message.end) ? flow.end ?? message.end : message.end;
    this.#spec.onEvent({ kind: "closed", id, info, ruling, up, down, ms, end });
  }

  #forget(id: number): void {
    const flow = this.#flows.get(id);
    if (flow === undefined) return;
    this.#flows.delete(id);
    if (flow.open && flow.info.dir === "outbound") this.#spec.pins.release(flow.info.dst);
  }
}

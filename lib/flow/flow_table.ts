/**
 * The flows of one guest as sbx knows them, from netstack's question to its `closed`: what
 * `flow_state.ts` says of them is carried out here.
 *
 * Every ruling is sent to netstack and told to the listener; whatever netstack says about a flow that
 * is not in the table is about one that ended, and is nobody's business any more.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { trace } from "../base/trace.ts";
import type { Carried } from "../judge/first_judgement.ts";
import { judgeFirst, judgeRetry } from "../judge/first_flight.ts";
import type { FlowInfo } from "../judge/flow_info.ts";
import {
  judgeOpenFlow,
  MOST_REQUESTED,
  type OpenFlow,
  type ServerProof,
} from "../judge/open_flow.ts";
import { judgeOpening } from "../judge/opening.ts";
import type { Ruling } from "../judge/ruling.ts";
import type { Snapshot } from "../judge/snapshot.ts";
import type { ClientHello } from "../tls/client_hello.ts";
import type { Control } from "./control.ts";
import type { FlowEnd, FromNetstack } from "./control_message.ts";
import type { FlowEvent, FlowNote } from "./flow_event.ts";
import {
  type Effect,
  type Expected,
  type FlowInput,
  type FlowState,
  isReached,
  passes,
  transition,
} from "./flow_state.ts";
import { passageOf } from "./passage.ts";
import { toVerdict } from "./verdict.ts";

/** netstack keeps fewer flows alive; the bound only holds if it misbehaves. */
const MAX_FLOWS = 65_536;

interface Flow {
  readonly info: FlowInfo;
  state: FlowState;
  ruling: Ruling;
  /** What the flow itself stated; never a name that was only pinned. */
  stated: string | undefined;
  /** What an intercepted flow said. */
  hello: ClientHello | undefined;
  /** See `OpenFlow`. */
  readonly requested: Set<string>;
  proof: ServerProof | undefined;
}

/** An open flow under a policy that may come: `deny` cuts it. */
export type JudgedFlow = FlowNote;

/** A flow that sbx is to open. */
export interface InterceptedFlow {
  readonly info: FlowInfo;
  readonly ruling: Ruling;
  readonly hello: ClientHello;
}

/** A flow that sbx is to serve as it is. */
export type ServedFlow = Omit<InterceptedFlow, "hello">;

/** A flow that netstack hands over, by who serves it. */
export type HandedFlow =
  | { readonly serve: "dns" }
  | { readonly serve: "interception"; readonly flow: InterceptedFlow }
  | { readonly serve: "http"; readonly flow: ServedFlow }
  /** Its requests are for others, as a proxy's are. */
  | { readonly serve: "proxy"; readonly flow: ServedFlow }
  /** All that its guest sends is looked at, and nothing else read. */
  | { readonly serve: "datagrams"; readonly flow: ServedFlow };

export interface FlowTableSpec {
  /** The one in force; asked anew for every ruling. */
  readonly snapshot: () => Snapshot;
  readonly control: Pick<Control, "send">;
  /** Pins of an address that a flow uses stay alive. */
  readonly pins: { hold(address: string): void; release(address: string): void };
  readonly onEvent: (event: FlowEvent) => void;
  /** Placeholders were in what a flow said first. It is denied by then. */
  readonly onCarried?: (carried: FlowNote & Carried) => void;
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
    return this.#flows.values().some(({ state }) => isReached(state));
  }

  /** How many have reached their other side. */
  get open(): number {
    return this.#flows.values().reduce((count, { state }) => count + (isReached(state) ? 1 : 0), 0);
  }

  /** @throws SbxError PROTOCOL when netstack says what cannot be. */
  take(message: FromNetstack): void {
    switch (message.t) {
      case "flow":
        return this.#asked(message);
      case "first":
        return this.#first(message);
      case "cached":
        return this.#cached(message);
      case "opened":
        return this.#told(message.id, { name: "opened" }, message.dial);
      case "closed":
        return this.#told(message.id, { name: "closed", closed: message });
    }
  }

  /** What would become of each open flow under the snapshot. Changes nothing. */
  judged(snapshot: Snapshot): readonly JudgedFlow[] {
    return [...this.#flows].flatMap(([id, flow]) => {
      const passage = passes(flow.state) ? passageOf(flow.state, flow.ruling) : null;
      return passage === null ? [] : [judgedFlow(snapshot, id, { ...flow, passage })];
    });
  }

  /** Cuts what was judged so, at once; what goes on does so by its new ruling. */
  enforce(judged: readonly JudgedFlow[]): void {
    for (const { id, ruling } of judged) {
      const flow = this.#flows.get(id);
      if (flow === undefined || !passes(flow.state)) continue;
      if (ruling.action === "deny") this.#revoke(id, flow, { name: "revoked" }, ruling);
      else flow.ruling = { ...ruling, ...inForce(flow.ruling) };
    }
  }

  #asked(message: FromNetstack & { t: "flow" }): void {
    const snapshot = this.#spec.snapshot();
    const ruling = judgeOpening(snapshot, message);
    const flow = this.#begin(message.id, message, ruling);
    this.#spec.control.send(toVerdict(snapshot, message.id, ruling));
    this.#become(message.id, flow, inputOf(ruling, "nothing"));
  }

  /** netstack repeated a ruling. The same judgement again tells why, and whether it still holds. */
  #cached(message: FromNetstack & { t: "cached" }): void {
    const { id, action } = message;
    const ruling = judgeOpening(this.#spec.snapshot(), message);
    const repeated: Ruling = { ...ruling, action };
    const flow = this.#begin(id, message, repeated);
    if (action === ruling.action || action === "deny") {
      this.#become(id, flow, inputOf(repeated, "nothing"));
    } else {
      this.#revoke(id, flow, { name: "stale" }, ruling);
    }
  }

  /** A flow about which there is a question; asked again when the policy changed meanwhile. */
  #begin(id: number, info: FlowInfo, ruling: Ruling): Flow {
    const state = this.#flows.get(id)?.state ?? { name: "new" };
    const flow: Flow = {
      info,
      state,
      ruling,
      stated: undefined,
      hello: undefined,
      requested: new Set(),
      proof: undefined,
    };
    this.#flows.set(id, flow);
    this.#become(id, flow, { name: "asked" });
    for (const oldest of this.#flows.keys()) {
      if (this.#flows.size <= MAX_FLOWS) break;
      this.#forget(oldest);
    }
    return flow;
  }

  #first({ id, data, end }: FromNetstack & { t: "first" }): void {
    const flow = this.#flows.get(id);
    if (flow === undefined) return;
    const snapshot = this.#spec.snapshot();
    const isRetry = flow.state.name === "open" && flow.state.expects === "hello";
    this.#become(id, flow, { name: "first" });
    if (flow.state.name !== "asked") return;
    const { ruling, stated, hello, tls, carried } = isRetry
      ? judgeRetry(snapshot, flow, data, end)
      : judgeFirst(snapshot, flow.info, data, end);
    this.#spec.control.send(toVerdict(snapshot, id, ruling));
    flow.ruling = ruling;
    flow.stated = stated;
    flow.hello = hello;
    this.#become(id, flow, inputOf(ruling, tls === true ? "hello" : "request"));
    if (carried !== undefined) this.#spec.onCarried?.({ id, info: flow.info, ruling, ...carried });
  }

  /** Who serves the flow that netstack hands over; null when it has lost its verdict on the way here. */
  handed(id: number, info: FlowInfo): HandedFlow | null {
    const flow = this.#flows.get(id);
    if (flow === undefined) {
      // The two channels of netstack race: that it repeated a ruling may still be to be read.
      const { serve } = judgeOpening(this.#spec.snapshot(), info);
      return serve === "dns" ? { serve } : null;
    }
    if (!this.#served(id, { name: "handed" })) return null;
    const { info: judged, ruling, hello } = flow;
    switch (ruling.serve) {
      case "dns":
        return { serve: ruling.serve };
      case "http":
      case "datagrams":
      case "proxy":
        return { serve: ruling.serve, flow: { info: judged, ruling } };
      default:
        if (hello === undefined) return null;
        return { serve: "interception", flow: { info: judged, ruling, hello } };
    }
  }

  /** An inbound flow that was let in and has not ended; null likewise. */
  inbound(id: number): FlowInfo | null {
    const flow = this.#flows.get(id);
    return flow !== undefined && passes(flow.state) && flow.info.dir === "inbound"
      ? flow.info
      : null;
  }

  /** sbx dialled the server of a flow that it was handed. */
  dialled(id: number, address: string): void {
    this.#served(id, { name: "dialled" }, address);
  }

  /** A request of a relayed flow was let through to the host. */
  requested(id: number, host: string): void {
    const requested = this.#flows.get(id)?.requested;
    if (requested !== undefined && requested.size < MOST_REQUESTED) requested.add(host);
  }

  /**
   * There is a session with the server of an intercepted flow, by the settings of a generation that may be
   * over.
   */
  proved(id: number, proof: ServerProof, generation: number): void {
    const flow = this.#flows.get(id);
    if (flow === undefined) return;
    flow.proof = proof;
    const snapshot = this.#spec.snapshot();
    if (snapshot.generation === generation) return;
    this.enforce([judgedFlow(snapshot, id, { ...flow, passage: "interception" })]);
  }

  /**
   * Ends flows whatever the policy says, and returns how many. netstack tells the end of each that was open,
   * with its bytes.
   */
  kill(which: (info: FlowInfo) => boolean): number {
    let count = 0;
    for (const [id, { info, state }] of this.#flows) {
      if (!passes(state) || !which(info)) continue;
      this.#spec.control.send({ t: "kill", id });
      count++;
    }
    return count;
  }

  /** An intercepted flow goes no further. Its end is still to come. */
  refuse(id: number, why: Pick<Ruling, "reason" | "detail">): void {
    const flow = this.#flows.get(id);
    if (flow === undefined || !passes(flow.state)) return;
    // What the server was asked for is the name that the flow stated, not one that is only pinned.
    const { rule: _, name: __, ...ruling } = flow.ruling;
    const named = flow.stated === undefined ? {} : { name: flow.stated };
    flow.ruling = { ...ruling, ...named, ...why, action: "deny" };
    this.#served(id, { name: "refused" });
  }

  /** A served flow ended; the first word counts. Without one, what netstack saw is all there is. */
  ended(id: number, end?: FlowEnd): void {
    this.#served(id, { name: "ended", end });
  }

  /** Nothing more will be heard of any flow. */
  close(): void {
    for (const id of [...this.#flows.keys()]) this.ended(id);
  }

  #revoke(id: number, flow: Flow, input: FlowInput, ruling: Ruling): void {
    this.#become(id, flow, input, { ruling: { ...ruling, action: "deny" } });
  }

  /** netstack told something of a flow. */
  #told(id: number, input: FlowInput, dialled?: string): void {
    const flow = this.#flows.get(id);
    if (flow !== undefined) this.#become(id, flow, input, { dialled });
  }

  /** Whoever serves a flow told something of it; false when that means nothing any more. */
  #served(id: number, input: FlowInput, dialled?: string): boolean {
    const flow = this.#flows.get(id);
    if (flow === undefined || transition(flow.state, input) === null) return false;
    this.#become(id, flow, input, { dialled });
    return true;
  }

  /** The one place where the state of a flow changes. */
  #become(id: number, flow: Flow, input: FlowInput, more: Particulars = {}): void {
    const { state } = flow;
    const step = transition(state, input);
    if (step === null) {
      throw new SbxError(
        "PROTOCOL",
        `Cannot follow netstack: it said '${input.name}' of a flow that is ${state.name}`,
      );
    }
    trace("flow", { id, from: state.name, to: step.to.name, event: input.name });
    flow.state = step.to;
    if (step.to.name === "over") this.#flows.delete(id);
    if (step.effect !== undefined) this.#do(id, flow, step.effect, more);
  }

  #do(
    id: number,
    flow: Flow,
    effect: Effect,
    { ruling = flow.ruling, dialled }: Particulars,
  ): void {
    const { control, pins, onEvent } = this.#spec;
    const { info } = flow;
    switch (effect.kind) {
      case "denied":
        return onEvent({ kind: "denied", id, info, ruling });
      case "denied again": {
        const denied: Ruling = { ...ruling, action: "deny" };
        return control.send(toVerdict(this.#spec.snapshot(), id, denied));
      }
      case "opened":
        if (info.dir === "outbound") pins.hold(info.dst);
        return onEvent({ kind: "opened", id, info, ruling, dialled: dialled ?? "" });
      case "revoked":
        control.send({ t: "kill", id });
        return onEvent({ kind: "revoked", id, info, ruling });
      case "closed": {
        const { closed: { up, down, ms }, end, opened } = effect;
        if (opened) this.#release(info);
        return onEvent({ kind: "closed", id, info, ruling, up, down, ms, end, opened });
      }
    }
  }

  #forget(id: number): void {
    const flow = this.#flows.get(id);
    this.#flows.delete(id);
    if (flow !== undefined && isReached(flow.state)) this.#release(flow.info);
  }

  #release({ dir, dst }: FlowInfo): void {
    if (dir === "outbound") this.#spec.pins.release(dst);
  }
}

/** What an effect tells besides: the ruling that cut the flow, where its server answered. */
interface Particulars {
  readonly ruling?: Ruling;
  readonly dialled?: string | undefined;
}

function judgedFlow(snapshot: Snapshot, id: number, flow: OpenFlow): JudgedFlow {
  return { id, info: flow.info, ruling: judgeOpenFlow(snapshot, flow) };
}

/** A ruling as what it is to the flow. `expects`: what netstack may ask next, should it pass. */
function inputOf({ action, serve }: Ruling, expects: Expected): FlowInput {
  switch (action) {
    case "allow":
      return { name: "allow", expects };
    case "redirect":
      return { name: serve === "dns" ? "resolve" : "redirect" };
    default:
      return { name: action };
  }
}

/** What is done with a flow already, whatever a new judgement gives as its reason. */
function inForce({ action, serve, tls }: Ruling): Pick<Ruling, "action" | "serve" | "tls"> {
  return {
    action,
    ...(serve === undefined ? {} : { serve }),
    ...(tls === undefined ? {} : { tls }),
  };
}

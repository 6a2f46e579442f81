/**
 * What a flow can be, and what makes something else of it. Pure; `flow_table.ts` does what it says.
 *
 * ```
 * asked ─┬─ inspect ──► inspected ── first ──► asked
 *        ├─ allow ────► allowed ── opened ──► open ── first ──► asked     netstack moves its bytes
 *        ├─ redirect ─► redirected ── handed ──► served ── ended ──► ended      sbx moves them
 *        │                                         └─ closed ──► closing ── ended ──► over
 *        ├─ resolve ──► resolver                                      its questions are judged
 *        └─ deny ─────► over
 * what passes ── revoked ──► cut           what is not over ── closed ──► over
 * ```
 *
 * @module
 */
import type { FlowEnd, FromNetstack } from "./control_message.ts";

/** What netstack may still ask about a flow that it moves by itself. */
export type Expected =
  | "nothing"
  /** The guest was silent: what it says first, whenever that is. */
  | "flight"
  /** It said a ClientHello: the second one, should the server ask for it. */
  | "hello"
  /** It said what no server acts on: what comes then, should it become a request. */
  | "request";

export type Closed = FromNetstack & { readonly t: "closed" };

interface Served {
  /** Its server answered. */
  readonly reached: boolean;
  /** Policy is against it by now; what is left is to tell the guest, and to end. */
  readonly refused: boolean;
}

export type FlowState =
  | { readonly name: "new" }
  /** A question of netstack's is open: about the flow itself, or about what it said. */
  | { readonly name: "asked"; readonly about: "flow" | "first"; readonly reached: boolean }
  /** netstack reads what the guest says first. Nobody was dialled. */
  | { readonly name: "inspected" }
  /** netstack dials. */
  | { readonly name: "allowed"; readonly expects: Expected }
  | { readonly name: "open"; readonly expects: Expected }
  /** netstack is to hand it over. */
  | { readonly name: "redirected"; readonly reached: boolean }
  /** It leads to the resolver of sbx and nowhere else, which no policy changes. */
  | { readonly name: "resolver" }
  /** sbx has it. */
  | Served & { readonly name: "served" }
  /** sbx has served it to its end, and knows how that was if anybody does; netstack has yet to say so. */
  | Served & { readonly name: "ended"; readonly end: FlowEnd | undefined }
  /** netstack saw its end; sbx has not read its last bytes yet, and knows better how it ended. */
  | Served & { readonly name: "closing"; readonly closed: Closed }
  /** It was refused while it lived; netstack ends it. */
  | { readonly name: "cut"; readonly reached: boolean; readonly end?: FlowEnd | undefined }
  /** To be forgotten. */
  | { readonly name: "over" };

export type FlowInput =
  /** From netstack. */
  | { readonly name: "asked" | "first" | "opened" | "handed" }
  | { readonly name: "closed"; readonly closed: Closed }
  /** What the judge says to a question. */
  | { readonly name: "inspect" | "redirect" | "resolve" | "deny" }
  | { readonly name: "allow"; readonly expects: Expected }
  /** netstack repeated an answer that does not hold any more. */
  | { readonly name: "stale" }
  /** The policy in force would not allow it. */
  | { readonly name: "revoked" }
  /** From whoever serves it: its server answered, it goes no further, it is over. */
  | { readonly name: "dialled" | "refused" }
  | { readonly name: "ended"; readonly end?: FlowEnd | undefined };

export type Effect =
  | { readonly kind: "denied" | "opened" }
  /** netstack is to end it. */
  | { readonly kind: "revoked" }
  /** netstack asks about a flow that it was told to end: the answer is no. */
  | { readonly kind: "denied again" }
  | {
    readonly kind: "closed";
    readonly closed: Closed;
    readonly end: FlowEnd;
    readonly opened: boolean;
  };

export interface Step {
  readonly to: FlowState;
  readonly effect?: Effect;
}

/** Ends that netstack sees of a served flow are those of the cable; its other ends are its own doing. */
const SEEN: ReadonlySet<FlowEnd> = new Set(["eof", "reset-guest", "reset-upstream"]);

const OVER: FlowState = { name: "over" };
const DENIED: Effect = { kind: "denied" };
const OPENED: Effect = { kind: "opened" };
const REVOKED: Effect = { kind: "revoked" };

/** Whether the flow reached its other side. */
export function isReached(state: FlowState): boolean {
  return state.name === "open" || ("reached" in state && state.reached);
}

/** Whether bytes may pass between the guest and somebody else, so that a policy can be against it. */
export function passes(state: FlowState): boolean {
  switch (state.name) {
    case "allowed":
    case "open":
    case "redirected":
      return true;
    case "served":
    case "ended":
    case "closing":
      return !state.refused;
    default:
      return false;
  }
}

/** What happens to a flow, and what is to be done; null for what cannot happen in this state. */
export function transition(state: FlowState, input: FlowInput): Step | null {
  switch (input.name) {
    case "asked":
      return asked(state);
    case "first":
      return first(state);
    case "inspect":
    case "allow":
    case "redirect":
    case "resolve":
    case "deny":
    case "stale":
      return state.name === "asked" ? ruled(state, input) : null;
    case "opened":
      return opened(state);
    case "handed":
      return handed(state);
    case "dialled":
      return dialled(state);
    case "refused":
      return refused(state);
    case "revoked":
      return revoked(state);
    case "ended":
      return ended(state, input.end);
    case "closed":
      return closed(state, input.closed);
  }
}

/** Again, when the policy changed before netstack did as it was told. */
function asked(state: FlowState): Step | null {
  switch (state.name) {
    case "new":
    case "inspected":
    case "allowed":
    case "redirected":
    case "resolver":
    case "cut":
      if (isReached(state)) return null;
      return { to: { name: "asked", about: "flow", reached: false } };
    default:
      return null;
  }
}

function first(state: FlowState): Step | null {
  switch (state.name) {
    case "inspected":
      return { to: { name: "asked", about: "first", reached: false } };
    case "open":
      if (state.expects === "nothing") return null;
      return { to: { name: "asked", about: "first", reached: true } };
    case "cut":
      return { to: state, effect: { kind: "denied again" } };
    default:
      return null;
  }
}

function ruled(
  { about, reached }: FlowState & { name: "asked" },
  input: FlowInput & { name: "inspect" | "allow" | "redirect" | "resolve" | "deny" | "stale" },
): Step | null {
  switch (input.name) {
    case "inspect":
      // To a silence it means: dial, and ask again when there is something to ask about.
      return about === "flow"
        ? { to: { name: "inspected" } }
        : { to: { name: reached ? "open" : "allowed", expects: "flight" } };
    case "allow":
      return { to: { name: reached ? "open" : "allowed", expects: input.expects } };
    case "redirect":
      return { to: { name: "redirected", reached } };
    case "resolve":
      return about === "flow" ? { to: { name: "resolver" } } : null;
    case "deny":
      return { to: reached ? { name: "cut", reached } : OVER, effect: DENIED };
    case "stale":
      return about === "flow" ? { to: { name: "cut", reached }, effect: REVOKED } : null;
  }
}

function opened(state: FlowState): Step | null {
  if (state.name === "allowed") return { to: { ...state, name: "open" }, effect: OPENED };
  // It was on its way when the flow was cut.
  if (state.name !== "cut" || state.reached) return null;
  return { to: { ...state, reached: true }, effect: OPENED };
}

function handed(state: FlowState): Step | null {
  if (state.name === "resolver") return { to: state };
  if (state.name !== "redirected") return null;
  return { to: { name: "served", reached: state.reached, refused: false } };
}

/** A server that netstack dialled for a silent guest is dialled anew when the flow is handed over. */
function dialled(state: FlowState): Step | null {
  switch (state.name) {
    case "served":
    case "ended":
    case "closing":
    case "cut":
      return state.reached ? { to: state } : { to: { ...state, reached: true }, effect: OPENED };
    default:
      return null;
  }
}

function refused(state: FlowState): Step | null {
  switch (state.name) {
    case "served":
    case "closing":
      return state.refused ? { to: state } : { to: { ...state, refused: true }, effect: DENIED };
    case "ended":
      if (state.refused) return { to: state };
      return { to: { ...state, refused: true, end: state.end ?? "denied" }, effect: DENIED };
    case "cut":
      return { to: state };
    default:
      return null;
  }
}

function revoked(state: FlowState): Step | null {
  if (!passes(state)) return null;
  if (state.name === "closing") return { to: { ...state, refused: true }, effect: REVOKED };
  // sbx cuts what it serves itself, which netstack sees as an end of its own.
  const end = state.name === "ended" ? state.end : "killed";
  return { to: { name: "cut", reached: isReached(state), end }, effect: REVOKED };
}

/** The first word counts. Without one, what netstack saw is all there is. */
function ended(state: FlowState, end: FlowEnd | undefined): Step | null {
  switch (state.name) {
    case "served": {
      const known = state.refused ? "denied" : end;
      return { to: { ...state, name: "ended", end: known } };
    }
    case "ended":
    case "cut":
      return { to: { ...state, end: state.end ?? end } };
    case "closing":
      return over(state, state.closed, state.refused ? "denied" : end);
    default:
      return null;
  }
}

function closed(state: FlowState, told: Closed): Step | null {
  switch (state.name) {
    case "new":
    case "asked":
    case "closing":
    case "over":
      return null;
    case "served":
      // The two channels of netstack race: sbx may not have read the flow's last bytes yet.
      return SEEN.has(told.end)
        ? { to: { ...state, name: "closing", closed: told } }
        : over(state, told, state.refused ? "denied" : undefined);
    case "ended":
    case "cut":
      return over(state, told, state.end);
    default:
      return over(state, told, undefined);
  }
}

/** What was refused ended by that, whatever its cable came to. */
function over(state: FlowState, told: Closed, known: FlowEnd | undefined): Step {
  const end = SEEN.has(told.end) || known === "denied" ? known ?? told.end : told.end;
  return { to: OVER, effect: { kind: "closed", closed: told, end, opened: isReached(state) } };
}

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type Closed,
  type FlowInput,
  type FlowState,
  isReached,
  passes,
  transition,
} from "../../lib/flow/flow_state.ts";

const closed = (end: Closed["end"]): Closed => ({ t: "closed", id: 1, up: 1, down: 2, ms: 3, end });

const served = { name: "served", reached: false, refused: false } as const;

const STATES = {
  "new": { name: "new" },
  "asked": { name: "asked", about: "flow", reached: false },
  "asked what it said": { name: "asked", about: "first", reached: false },
  "asked what it said, reached": { name: "asked", about: "first", reached: true },
  "inspected": { name: "inspected" },
  "allowed": { name: "allowed", expects: "flight" },
  "open": { name: "open", expects: "nothing" },
  "open, to be asked about": { name: "open", expects: "hello" },
  "redirected": { name: "redirected", reached: false },
  "redirected, reached": { name: "redirected", reached: true },
  "resolver": { name: "resolver" },
  "served": served,
  "served, reached": { ...served, reached: true },
  "served, refused": { ...served, refused: true },
  "ended": { name: "ended", reached: true, refused: false, end: undefined },
  "ended, known": { name: "ended", reached: true, refused: false, end: "idle" },
  "closing": { name: "closing", reached: true, refused: false, closed: closed("reset-guest") },
  "closing, refused": { name: "closing", reached: true, refused: true, closed: closed("eof") },
  "cut": { name: "cut", reached: false },
  "cut, reached": { name: "cut", reached: true, end: "idle" },
  "over": { name: "over" },
} as const satisfies Record<string, FlowState>;

const INPUTS = {
  "asked": { name: "asked" },
  "first": { name: "first" },
  "inspect": { name: "inspect" },
  "allow": { name: "allow", expects: "request" },
  "redirect": { name: "redirect" },
  "resolve": { name: "resolve" },
  "deny": { name: "deny" },
  "stale": { name: "stale" },
  "opened": { name: "opened" },
  "handed": { name: "handed" },
  "dialled": { name: "dialled" },
  "refused": { name: "refused" },
  "revoked": { name: "revoked" },
  "ended": { name: "ended" },
  "ended: reset": { name: "ended", end: "reset-upstream" },
  "closed: eof": { name: "closed", closed: closed("eof") },
  "closed: killed": { name: "closed", closed: closed("killed") },
} as const satisfies Record<string, FlowInput>;

type Row = Partial<Record<keyof typeof INPUTS, string>>;

/** What may happen in each state: the next one, and what is done. Everything else cannot happen. */
const TABLE: Record<keyof typeof STATES, Row> = {
  "new": { asked: "asked" },
  "asked": {
    inspect: "inspected",
    allow: "allowed",
    redirect: "redirected",
    resolve: "resolver",
    deny: "over: denied",
    stale: "cut: revoked",
  },
  "asked what it said": {
    inspect: "allowed",
    allow: "allowed",
    redirect: "redirected",
    deny: "over: denied",
  },
  "asked what it said, reached": {
    inspect: "open",
    allow: "open",
    redirect: "redirected, reached",
    deny: "cut, reached: denied",
  },
  "inspected": {
    asked: "asked",
    first: "asked",
    "closed: eof": "over: closed eof",
    "closed: killed": "over: closed killed",
  },
  "allowed": {
    asked: "asked",
    opened: "open: opened",
    revoked: "cut, killed: revoked",
    "closed: eof": "over: closed eof",
    "closed: killed": "over: closed killed",
  },
  "open": {
    revoked: "cut, reached, killed: revoked",
    "closed: eof": "over: closed eof, opened",
    "closed: killed": "over: closed killed, opened",
  },
  "open, to be asked about": {
    first: "asked, reached",
    revoked: "cut, reached, killed: revoked",
    "closed: eof": "over: closed eof, opened",
    "closed: killed": "over: closed killed, opened",
  },
  "redirected": {
    asked: "asked",
    handed: "served",
    revoked: "cut, killed: revoked",
    "closed: eof": "over: closed eof",
    "closed: killed": "over: closed killed",
  },
  "redirected, reached": {
    handed: "served, reached",
    revoked: "cut, reached, killed: revoked",
    "closed: eof": "over: closed eof, opened",
    "closed: killed": "over: closed killed, opened",
  },
  "resolver": {
    asked: "asked",
    handed: "resolver",
    "closed: eof": "over: closed eof",
    "closed: killed": "over: closed killed",
  },
  "served": {
    dialled: "served, reached: opened",
    refused: "served, refused: denied",
    revoked: "cut, killed: revoked",
    ended: "ended",
    "ended: reset": "ended, reset-upstream",
    "closed: eof": "closing",
    "closed: killed": "over: closed killed",
  },
  "served, reached": {
    dialled: "served, reached",
    refused: "served, reached, refused: denied",
    revoked: "cut, reached, killed: revoked",
    ended: "ended, reached",
    "ended: reset": "ended, reached, reset-upstream",
    "closed: eof": "closing, reached",
    "closed: killed": "over: closed killed, opened",
  },
  "served, refused": {
    dialled: "served, reached, refused: opened",
    refused: "served, refused",
    ended: "ended, refused, denied",
    "ended: reset": "ended, refused, denied",
    "closed: eof": "closing, refused",
    "closed: killed": "over: closed denied",
  },
  "ended": {
    dialled: "ended, reached",
    refused: "ended, reached, refused, denied: denied",
    revoked: "cut, reached: revoked",
    ended: "ended, reached",
    "ended: reset": "ended, reached, reset-upstream",
    "closed: eof": "over: closed eof, opened",
    "closed: killed": "over: closed killed, opened",
  },
  "ended, known": {
    dialled: "ended, reached, idle",
    refused: "ended, reached, refused, idle: denied",
    revoked: "cut, reached, idle: revoked",
    ended: "ended, reached, idle",
    "ended: reset": "ended, reached, idle",
    "closed: eof": "over: closed idle, opened",
    "closed: killed": "over: closed killed, opened",
  },
  "closing": {
    dialled: "closing, reached",
    refused: "closing, reached, refused: denied",
    revoked: "closing, reached, refused: revoked",
    ended: "over: closed reset-guest, opened",
    "ended: reset": "over: closed reset-upstream, opened",
  },
  "closing, refused": {
    dialled: "closing, reached, refused",
    refused: "closing, reached, refused",
    ended: "over: closed denied, opened",
    "ended: reset": "over: closed denied, opened",
  },
  "cut": {
    asked: "asked",
    first: "cut: denied again",
    opened: "cut, reached: opened",
    dialled: "cut, reached: opened",
    refused: "cut",
    ended: "cut",
    "ended: reset": "cut, reset-upstream",
    "closed: eof": "over: closed eof",
    "closed: killed": "over: closed killed",
  },
  "cut, reached": {
    first: "cut, reached, idle: denied again",
    dialled: "cut, reached, idle",
    refused: "cut, reached, idle",
    ended: "cut, reached, idle",
    "ended: reset": "cut, reached, idle",
    "closed: eof": "over: closed idle, opened",
    "closed: killed": "over: closed killed, opened",
  },
  "over": {},
};

function spelled(state: FlowState, input: FlowInput): string {
  const step = transition(state, input);
  if (step === null) return "cannot happen";
  const { to, effect } = step;
  const facts = [
    to.name,
    ...("reached" in to && to.reached ? ["reached"] : []),
    ...("refused" in to && to.refused ? ["refused"] : []),
    ...("end" in to && to.end !== undefined ? [to.end] : []),
  ].join(", ");
  if (effect === undefined) return facts;
  return effect.kind === "closed"
    ? `${facts}: closed ${effect.end}${effect.opened ? ", opened" : ""}`
    : `${facts}: ${effect.kind}`;
}

describe("a flow", () => {
  for (const [name, row] of Object.entries(TABLE) as [keyof typeof STATES, Row][]) {
    test(`that is ${name} becomes what the table says`, () => {
      const inputs = Object.entries(INPUTS) as [keyof typeof INPUTS, FlowInput][];
      const seen = inputs.map(([input, value]) => [input, spelled(STATES[name], value)]);
      const said = inputs.map(([input]) => [input, row[input] ?? "cannot happen"]);
      expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(said));
    });
  }

  test("that is asked about again expects what the answer says", () => {
    const of = (about: "flow" | "first", reached: boolean, input: FlowInput) =>
      transition({ name: "asked", about, reached }, input)?.to;
    expect(of("flow", false, { name: "allow", expects: "nothing" }))
      .toEqual({ name: "allowed", expects: "nothing" });
    expect(of("first", true, { name: "allow", expects: "hello" }))
      .toEqual({ name: "open", expects: "hello" });
    expect(of("first", false, { name: "inspect" })).toEqual({ name: "allowed", expects: "flight" });
  });
});

test("whatever happens, a flow opens once, closes once, and passes nothing once it was refused", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...Object.values<FlowInput>(INPUTS))), (inputs) => {
      let state: FlowState = { name: "new" };
      const done: string[] = [];
      let refused = false;
      for (const input of inputs) {
        const step = transition(state, input);
        if (step === null) continue;
        if (step.to.name === "asked" && step.to.about === "flow") refused = false;
        expect(isReached(state) && step.effect?.kind === "opened").toBe(false);
        // Only its end takes back that it reached its other side, and tells so.
        if (isReached(state) && !isReached(step.to)) {
          expect(step.effect).toMatchObject({ kind: "closed", opened: true });
        }
        if (step.effect !== undefined) done.push(step.effect.kind);
        refused ||= step.effect?.kind === "denied" || step.effect?.kind === "revoked";
        state = step.to;
        if (refused) expect(passes(state)).toBe(false);
      }
      const count = (kind: string) => done.filter((one) => one === kind).length;
      expect(count("opened")).toBeLessThanOrEqual(1);
      expect(count("closed")).toBeLessThanOrEqual(1);
      if (count("closed") === 1) expect(done.at(-1)).toBe("closed");
    }),
    { numRuns: 5_000 },
  );
});

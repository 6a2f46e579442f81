/**
 * How the bytes of a flow pass, by its state. Pure.
 *
 * @module
 */
import type { Passage } from "../judge/open_flow.ts";
import type { Ruling } from "../judge/ruling.ts";
import type { Expected, FlowState } from "./flow_state.ts";

/** What netstack may still ask tells what the flow has said. */
const BY_EXPECTED: { readonly [E in Expected]: Passage } = {
  nothing: "unread",
  flight: "silent",
  hello: "tls",
  request: "bytes",
};

/** Null where no policy has anything to say to it. */
export function passageOf(state: FlowState, { serve }: Pick<Ruling, "serve">): Passage | null {
  if (state.name === "allowed" || state.name === "open") return BY_EXPECTED[state.expects];
  return serve ?? null;
}

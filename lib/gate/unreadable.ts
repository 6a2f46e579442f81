/**
 * What secrets cannot be looked for in goes no further.
 *
 * @module
 */
import { GateRefusal } from "../http/gate.ts";
import { CodingFault } from "../secret/coder.ts";
import { FrameFault } from "../secret/websocket/frame.ts";

export function unreadable(detail: string): GateRefusal {
  return new GateRefusal({ reason: "secret-unreadable", detail });
}

/** Runs a step of a reader; what is not in the form that it states is unreadable. @throws GateRefusal */
export function readably<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (error instanceof CodingFault || error instanceof FrameFault) {
      throw unreadable(error.message);
    }
    throw error;
  }
}

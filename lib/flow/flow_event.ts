/**
 * What is told of a flow while it lives.
 *
 * @module
 */
import type { FlowInfo } from "../judge/flow_info.ts";
import type { Ruling } from "../judge/ruling.ts";
import type { FlowEnd } from "./control_message.ts";

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
    /** It reached its other side: there was an event before. */
    readonly opened: boolean;
  };

export interface FlowNote {
  readonly id: number;
  readonly info: FlowInfo;
  readonly ruling: Ruling;
}

/**
 * The messages of the control channel between sbx and netstack. docs/control-protocol.md describes
 * them for both sides; `control_codec.ts` reads and writes them.
 *
 * @module
 */
import type { LinkEnd } from "../base/link.ts";
import type { FirstEnd, FlowInfo, VerdictAction } from "../judge/flow_info.ts";

export const PROTOCOL_VERSION = 1;

/** How a flow ended. */
export type FlowEnd =
  | "eof"
  | "reset-guest"
  | "reset-upstream"
  | "refused"
  | "unreachable"
  | "timeout"
  | "idle"
  | "killed"
  | "guard"
  | "gone"
  | "limit"
  | "denied";

export type FromNetstack =
  | { readonly t: "hello"; readonly v: number; readonly pid: number }
  | { readonly t: "ready" | "link-down" }
  | FlowInfo & {
    readonly t: "flow";
    readonly id: number;
    readonly epoch: number;
    /** On the flows channel: bytes that each direction of a stream may have under way at first. */
    readonly credit?: number;
  }
  | { readonly t: "cached"; readonly id: number; readonly action: VerdictAction } & FlowInfo
  | { readonly t: "first"; readonly id: number; readonly data: Uint8Array; readonly end: FirstEnd }
  | { readonly t: "opened"; readonly id: number; readonly dial: string }
  | {
    readonly t: "closed";
    readonly id: number;
    /** Bytes of the guest to its peer, and back. */
    readonly up: number;
    readonly down: number;
    readonly ms: number;
    readonly end: FlowEnd;
  }
  /** An inbound flow finds nobody in the guest. Over TCP its peer waits for a `reach`. */
  | { readonly t: "unheard"; readonly id: number }
  | { readonly t: "limit"; readonly what: string; readonly count: number }
  | { readonly t: "published"; readonly ref: number; readonly addr: string; readonly port: number }
  | {
    readonly t: "publish-failed";
    readonly ref: number;
    readonly code: string;
    readonly message: string;
  }
  /** Bytes of frames so far, from the guest and to it. */
  | {
    readonly t: "pong";
    readonly n: number;
    readonly fromGuest?: number;
    readonly toGuest?: number;
  }
  | { readonly t: "fatal"; readonly message: string };

/** What sbx decides about a flow; `epoch` is the policy generation it was decided under. */
export interface VerdictMessage {
  readonly t: "verdict";
  readonly id: number;
  readonly epoch: number;
  readonly action: VerdictAction;
  /** For deny: an error at once instead of silence. */
  readonly reject?: boolean;
  /** Explicit dial address: the only way past netstack's guard rails. */
  readonly dial?: string;
  /** For redirect: sbx answers the flow itself. Otherwise it dials, and the guard rails hold for it. */
  readonly serve?: true;
  /** The verdict holds this long for the same protocol, destination and port. */
  readonly ttlMs?: number;
  /** For inspect: how long a silent guest is waited for. */
  readonly waitMs?: number;
}

export interface ConfigMessage {
  readonly t: "config";
  readonly v: number;
  readonly epoch: number;
  readonly mtu: number;
  readonly guest: LinkEnd;
  readonly gateway: LinkEnd;
  readonly hostAddresses: readonly string[];
  readonly limits: { readonly flows?: number; readonly perSecond?: number };
  readonly verdictTimeoutMs: number;
}

export type ToNetstack =
  | VerdictMessage
  | ConfigMessage
  | { readonly t: "policy"; readonly epoch: number }
  | { readonly t: "host"; readonly addresses: readonly string[] }
  | { readonly t: "kill"; readonly id: number }
  /** The answer to `unheard`: the guest's port to try instead; 0 is none. */
  | { readonly t: "reach"; readonly id: number; readonly port: number }
  | {
    readonly t: "publish";
    readonly ref: number;
    readonly bind: string;
    readonly port: number;
    readonly guestPort: number;
    readonly proto: "tcp" | "udp";
  }
  | { readonly t: "unpublish"; readonly ref: number }
  | { readonly t: "ping"; readonly n: number }
  | { readonly t: "end" };

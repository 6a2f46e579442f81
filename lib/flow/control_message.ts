/**
 * Messages of the control channel between sbx and netstack, and their frames: a 32-bit big-endian
 * length and one JSON object. See docs/control-protocol.md.
 *
 * netstack handles what the guest sends, so what it says is checked like a stranger's word.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SbxError } from "../base/errors.ts";
import type { Direction, Protocol } from "../policy/policy.ts";

export const PROTOCOL_VERSION = 1;

/** Largest message either side may send. */
const MAX_MESSAGE = 1 << 20;

/** One new flow as netstack tells it. Addresses are canonical text; ICMP has ports 0. */
export interface FlowInfo {
  readonly proto: Protocol;
  readonly dir: Direction;
  readonly src: string;
  readonly sport: number;
  readonly dst: string;
  readonly dport: number;
  /** Of the published port, inbound. */
  readonly ref?: number;
}

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
  | "denied";

export type FromNetstack =
  | { readonly t: "hello"; readonly v: number; readonly pid: number }
  | { readonly t: "ready" | "link-down" }
  | { readonly t: "flow"; readonly id: number; readonly epoch: number } & FlowInfo
  | { readonly t: "cached"; readonly id: number; readonly action: string } & FlowInfo
  | { readonly t: "first"; readonly id: number; readonly data: Uint8Array; readonly end: string }
  | { readonly t: "opened"; readonly id: number; readonly dial: string }
  | {
    readonly t: "closed";
    readonly id: number;
    readonly up: number;
    readonly down: number;
    readonly ms: number;
    readonly end: FlowEnd;
  }
  | { readonly t: "limit"; readonly what: string; readonly count: number }
  | { readonly t: "published"; readonly ref: number; readonly addr: string; readonly port: number }
  | {
    readonly t: "publish-failed";
    readonly ref: number;
    readonly code: string;
    readonly message: string;
  }
  | { readonly t: "pong"; readonly n: number }
  | { readonly t: "fatal"; readonly message: string };

/** What sbx decides about a flow; `epoch` is the policy generation it was decided under. */
export interface VerdictMessage {
  readonly t: "verdict";
  readonly id: number;
  readonly epoch: number;
  readonly action: "allow" | "inspect" | "redirect" | "deny";
  /** For deny: an error at once instead of silence. */
  readonly reject?: boolean;
  /** Explicit dial address: the only way past netstack's guard rails. */
  readonly dial?: string;
  /** The verdict holds this long for the same protocol, destination and port. */
  readonly ttlMs?: number;
  /** For inspect: how long a silent guest is waited for. */
  readonly waitMs?: number;
}

/** One side of the virtual cable. */
export interface LinkEnd {
  readonly mac: string;
  readonly ip4: string;
  readonly ip6: string;
}

export type ToNetstack =
  | VerdictMessage
  | {
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
  | { readonly t: "policy"; readonly epoch: number }
  | { readonly t: "host"; readonly addresses: readonly string[] }
  | { readonly t: "kill"; readonly id: number }
  | {
    readonly t: "publish";
    readonly ref: number;
    readonly bind: string;
    readonly port: number;
    readonly guestPort: number;
    readonly proto: "tcp" | "udp";
  }
  | { readonly t: "unpublish"; readonly ref: number }
  | { readonly t: "ping"; readonly n: number };

/** The frame of a message. */
export function encodeMessage(message: ToNetstack): Uint8Array {
  const body = Buffer.from(JSON.stringify(message));
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32BE(body.length);
  body.copy(frame, 4);
  return frame;
}

/** Cuts a byte stream into messages. Holds at most one incomplete message. */
export class MessageReader {
  #held: Buffer = Buffer.alloc(0);

  /**
   * The messages that these bytes complete, in order.
   *
   * @throws SbxError PROTOCOL; the stream is unusable then.
   */
  *push(bytes: Uint8Array): Generator<FromNetstack> {
    let data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.#held.length > 0) data = Buffer.concat([this.#held, data]);
    let at = 0;
    while (data.length - at >= 4) {
      const size = data.readUInt32BE(at);
      if (size === 0 || size > MAX_MESSAGE) throw broken(`a message of ${size} bytes`);
      if (data.length - at - 4 < size) break;
      const text = data.toString("utf8", at + 4, at + 4 + size);
      at += 4 + size;
      yield parseMessage(text);
    }
    this.#held = Buffer.from(data.subarray(at));
  }
}

const PROTOCOLS: ReadonlySet<unknown> = new Set(["tcp", "udp", "icmpv4", "icmpv6"]);
const DIRECTIONS: ReadonlySet<unknown> = new Set(["outbound", "inbound"]);

/** One message from its JSON text. Pure. */
export function parseMessage(text: string): FromNetstack {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw broken("text that is not JSON", cause);
  }
  if (typeof value !== "object" || value === null) throw broken("no object");
  const count = (key: string): number => {
    const n = value[key];
    if (typeof n !== "number" || !Number.isSafeInteger(n) || n < 0) throw broken(`no ${key}`);
    return n;
  };
  const word = (key: string): string => {
    const s = value[key];
    if (typeof s !== "string") throw broken(`no ${key}`);
    return s;
  };
  const info = (): FlowInfo => {
    if (!PROTOCOLS.has(value.proto) || !DIRECTIONS.has(value.dir)) throw broken("no flow");
    return {
      proto: value.proto as Protocol,
      dir: value.dir as Direction,
      src: word("src"),
      sport: count("sport"),
      dst: word("dst"),
      dport: count("dport"),
      ...(value.ref === undefined ? {} : { ref: count("ref") }),
    };
  };
  switch (value.t) {
    case "flow":
      return { t: "flow", id: count("id"), epoch: count("epoch"), ...info() };
    case "cached":
      return { t: "cached", id: count("id"), action: word("action"), ...info() };
    case "first": {
      const data = value.data === null ? "" : word("data");
      return { t: "first", id: count("id"), data: Buffer.from(data, "base64"), end: word("end") };
    }
    case "opened":
      return { t: "opened", id: count("id"), dial: word("dial") };
    case "closed":
      return {
        t: "closed",
        id: count("id"),
        up: count("up"),
        down: count("down"),
        ms: count("ms"),
        end: word("end") as FlowEnd,
      };
    case "limit":
      return { t: "limit", what: word("what"), count: count("count") };
    case "published":
      return { t: "published", ref: count("ref"), addr: word("addr"), port: count("port") };
    case "publish-failed":
      return {
        t: "publish-failed",
        ref: count("ref"),
        code: word("code"),
        message: word("message"),
      };
    case "pong":
      return { t: "pong", n: value.n === undefined ? 0 : count("n") };
    case "hello":
      return { t: "hello", v: count("v"), pid: count("pid") };
    case "ready":
    case "link-down":
      return { t: value.t };
    case "fatal":
      return { t: "fatal", message: word("message") };
    default:
      throw broken(`a message of unknown type`);
  }
}

function broken(what: string, cause?: unknown): SbxError {
  return new SbxError("PROTOCOL", `Cannot follow netstack: it sent ${what}`, { cause });
}

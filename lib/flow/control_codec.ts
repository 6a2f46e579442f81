/**
 * Frames of the control channel, to and from bytes: a 32-bit big-endian length and one JSON object.
 *
 * netstack handles what the guest sends, so what it says is checked like a stranger's word. Keys that
 * a message does not have are ignored, types that do not exist are an error.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { parseAddress } from "../base/address.ts";
import { SbxError } from "../base/errors.ts";
import type { FirstEnd, VerdictAction } from "../judge/flow_info.ts";
import type { Direction, Protocol } from "../policy/model/policy.ts";
import { FrameCutter } from "../wire/frame_cutter.ts";
import type { FlowEnd, FromNetstack, ToNetstack } from "./control_message.ts";

/** Largest message either side may send. */
const MAX_MESSAGE = 1 << 20;

const HEADER = 4;

/** The frame of a message. */
export function encodeMessage(message: ToNetstack): Uint8Array {
  const text = JSON.stringify(message);
  const frame = Buffer.allocUnsafe(HEADER + Buffer.byteLength(text));
  frame.writeUInt32BE(frame.length - HEADER);
  frame.write(text, HEADER);
  return frame;
}

/** Cuts a byte stream into messages. Holds at most one incomplete message. */
export class MessageReader {
  readonly #frames = new FrameCutter(HEADER, frameSize);

  /**
   * The messages that these bytes complete, in order; each is read when its turn comes.
   *
   * @throws SbxError PROTOCOL; the stream is unusable then.
   */
  *push(bytes: Uint8Array): Generator<FromNetstack, void, undefined> {
    for (const { buffer, byteOffset, length } of this.#frames.push(bytes)) {
      yield parseMessage(Buffer.from(buffer, byteOffset, length).toString("utf8", HEADER));
    }
  }
}

function frameSize(bytes: Uint8Array): number {
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  if (size === 0 || size > MAX_MESSAGE) throw broken(`a message of ${size} bytes`);
  return HEADER + size;
}

/**
 * One message from its JSON text. Pure.
 *
 * @throws SbxError PROTOCOL
 */
export function parseMessage(text: string): FromNetstack {
  const m = new Fields(text);
  switch (m.text("t")) {
    case "flow":
      return {
        t: "flow",
        id: m.count("id"),
        epoch: m.count("epoch"),
        ...flowInfo(m),
        ...(m.has("credit") ? { credit: m.count("credit") } : {}),
      };
    case "cached":
      return { t: "cached", id: m.count("id"), action: m.one("action", ACTIONS), ...flowInfo(m) };
    case "first":
      return { t: "first", id: m.count("id"), data: m.bytes("data"), end: m.one("end", FIRST) };
    case "opened":
      return { t: "opened", id: m.count("id"), dial: m.matching("dial", ENDPOINT) };
    case "closed":
      return {
        t: "closed",
        id: m.count("id"),
        up: m.count("up"),
        down: m.count("down"),
        ms: m.count("ms"),
        end: m.one("end", ENDS),
      };
    case "unheard":
      return { t: "unheard", id: m.count("id") };
    case "limit":
      return { t: "limit", what: m.matching("what", WORD), count: m.count("count") };
    case "published":
      return { t: "published", ref: m.count("ref"), addr: m.address("addr"), port: m.port("port") };
    case "publish-failed":
      return {
        t: "publish-failed",
        ref: m.count("ref"),
        code: m.text("code"),
        message: m.text("message"),
      };
    case "pong":
      return {
        t: "pong",
        n: m.has("n") ? m.count("n") : 0,
        ...(m.has("fromGuest") ? { fromGuest: m.count("fromGuest") } : {}),
        ...(m.has("toGuest") ? { toGuest: m.count("toGuest") } : {}),
      };
    case "hello":
      return { t: "hello", v: m.count("v"), pid: m.count("pid") };
    case "ready":
      return { t: "ready" };
    case "link-down":
      return { t: "link-down" };
    case "fatal":
      return { t: "fatal", message: m.text("message") };
    default:
      throw broken("a message of unknown type");
  }
}

const PROTOCOLS: ReadonlySet<Protocol> = new Set(["tcp", "udp", "icmpv4", "icmpv6"]);
const DIRECTIONS: ReadonlySet<Direction> = new Set(["outbound", "inbound"]);
const ACTIONS: ReadonlySet<VerdictAction> = new Set(["allow", "inspect", "redirect", "deny"]);
const FIRST: ReadonlySet<FirstEnd> = new Set(["complete", "full", "timeout", "eof", "plain"]);
const ENDS: ReadonlySet<FlowEnd> = new Set([
  "eof",
  "reset-guest",
  "reset-upstream",
  "refused",
  "unreachable",
  "timeout",
  "idle",
  "killed",
  "guard",
  "gone",
  "limit",
  "denied",
]);

/** `address:port`, or an address alone for protocols without ports. */
const ENDPOINT = /^[0-9a-f.:[\]]{2,64}$/;
const WORD = /^[a-z-]{1,32}$/;

function flowInfo(m: Fields) {
  return {
    proto: m.one("proto", PROTOCOLS),
    dir: m.one("dir", DIRECTIONS),
    src: m.address("src"),
    sport: m.port("sport"),
    dst: m.address("dst"),
    dport: m.port("dport"),
    ...(m.has("ref") ? { ref: m.count("ref") } : {}),
    ...(m.has("own") ? { own: m.yes("own") } : {}),
  };
}

/** The keys of one message, each read as what it has to be. */
class Fields {
  readonly #value: Readonly<Record<string, unknown>>;

  constructor(text: string) {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw broken("text that is not JSON", cause);
    }
    if (typeof value !== "object" || value === null) throw broken("no object");
    this.#value = value as Record<string, unknown>;
  }

  has(key: string): boolean {
    return this.#value[key] !== undefined;
  }

  yes(key: string): true {
    if (this.#value[key] !== true) throw broken(`no ${key}`);
    return true;
  }

  text(key: string): string {
    const value = this.#value[key];
    if (typeof value !== "string") throw broken(`no ${key}`);
    return value;
  }

  /** A whole number that is exact in JavaScript. */
  count(key: string): number {
    const value = this.#value[key];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw broken(`no ${key}`);
    }
    return value;
  }

  port(key: string): number {
    const value = this.count(key);
    if (value > 65_535) throw broken(`no ${key}`);
    return value;
  }

  /** Canonical, so that equal addresses are equal texts from here on. */
  address(key: string): string {
    const address = parseAddress(this.text(key));
    if (address === null) throw broken(`no ${key}`);
    return address.text;
  }

  matching(key: string, pattern: RegExp): string {
    const value = this.text(key);
    if (!pattern.test(value)) throw broken(`no ${key}`);
    return value;
  }

  one<T extends string>(key: string, values: ReadonlySet<T>): T {
    const value = this.text(key);
    if (!(values as ReadonlySet<string>).has(value)) throw broken(`no ${key}`);
    return value as T;
  }

  /** Base64; Go writes no bytes at all as null. */
  bytes(key: string): Uint8Array {
    if (this.#value[key] === null) return new Uint8Array();
    const text = this.text(key);
    const bytes = Buffer.from(text, "base64");
    if (bytes.toString("base64") !== text) throw broken(`no ${key}`);
    return bytes;
  }
}

function broken(what: string, cause?: unknown): SbxError {
  return new SbxError("PROTOCOL", `Cannot follow netstack: it sent ${what}`, { cause });
}

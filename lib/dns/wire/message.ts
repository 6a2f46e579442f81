/**
 * A DNS message as a value (RFC 1035 §4, RFC 6891). `decode.ts` and `encode.ts` lead from and to
 * bytes.
 *
 * @module
 */
import { Class, Type } from "./codes.ts";
import { type WireName, wireName } from "./wire_name.ts";

export interface Question {
  readonly name: WireName;
  readonly type: number;
  readonly class: number;
}

export interface Resource {
  readonly name: WireName;
  readonly type: number;
  readonly class: number;
  /** In seconds. */
  readonly ttl: number;
  /** Names in it are uncompressed. */
  readonly data: Uint8Array;
}

export interface EdnsOption {
  readonly code: number;
  readonly data: Uint8Array;
}

/** What the OPT record says. */
export interface Edns {
  /** The UDP payload that its sender takes. */
  readonly size: number;
  readonly version: number;
  /** Bits 4 to 11 of the response code. */
  readonly rcodeHigh: number;
  readonly dnssecOk: boolean;
  readonly options: readonly EdnsOption[];
}

export interface Message {
  readonly id: number;
  /** The header's second word: QR, opcode, AA, TC, RD, RA, AD, CD and the low bits of the rcode. */
  readonly flags: number;
  readonly questions: readonly Question[];
  readonly answers: readonly Resource[];
  readonly authorities: readonly Resource[];
  /** Without the OPT record. */
  readonly additionals: readonly Resource[];
  /** Absent: the sender does not speak EDNS. */
  readonly edns?: Edns;
}

/** The question for a canonical name's address. */
export function hostQuestion(name: string): Question {
  return { name: wireName(name), type: Type.A, class: Class.IN };
}

export function opcodeOf({ flags }: Pick<Message, "flags">): number {
  return flags >> 11 & 0xf;
}

/** The response code with the bits that EDNS adds. */
export function rcodeOf({ flags, edns }: Pick<Message, "flags" | "edns">): number {
  return flags & 0xf | (edns?.rcodeHigh ?? 0) << 4;
}

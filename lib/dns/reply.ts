/**
 * Answers to the guest: its own question back, letter for letter, and no more bytes than it takes.
 *
 * @module
 */
import { Flag } from "./wire/codes.ts";
import type { Header } from "./wire/decode.ts";
import { errorOption, type ExtendedError, OUR_UDP_SIZE } from "./wire/edns.ts";
import { encodeMessage, MAX_MESSAGE } from "./wire/encode.ts";
import type { Edns, EdnsOption, Question, Resource } from "./wire/message.ts";

/** The least that every client takes over UDP (RFC 1035 §4.2.1). */
const MIN_UDP = 512;

/** The most that is sent over UDP, whatever the guest offers: four kilobytes are plenty for names. */
const MAX_UDP = 4096;

/** The guest's header bits that an answer repeats. */
const ECHOED = Flag.RD | Flag.CD;
const OPCODE = 0x7800;

/** What to say. */
export interface Reply {
  readonly rcode: number;
  readonly answers?: readonly Resource[];
  readonly authorities?: readonly Resource[];
  /** The resolver vouches for the data (RFC 4035 §3.2.3). */
  readonly authentic?: boolean;
  /** Why, for guests that speak EDNS. */
  readonly error?: ExtendedError;
  /** Extended errors of the resolver, passed on. */
  readonly options?: readonly EdnsOption[];
}

/** The parts of the query that its answer depends on. */
export interface Answerable {
  readonly id: number;
  readonly flags: number;
  readonly question: Question;
  readonly edns?: Edns;
}

export function replyTo(query: Answerable, reply: Reply, via: "udp" | "tcp"): Uint8Array {
  const { id, question, edns } = query;
  // RFC 6840 §5.8: AD only to clients that show that they understand it.
  const wantsAd = (query.flags & Flag.AD) !== 0 || edns?.dnssecOk === true;
  const ad = wantsAd && reply.authentic === true ? Flag.AD : 0;
  const message = {
    id,
    flags: Flag.QR | Flag.RA | query.flags & ECHOED | ad | reply.rcode & 0xf,
    questions: [question],
    answers: reply.answers ?? [],
    authorities: reply.authorities ?? [],
    additionals: [],
  };
  if (edns === undefined) return encodeMessage(message, via === "tcp" ? MAX_MESSAGE : MIN_UDP);
  const error = reply.error === undefined ? [] : [errorOption(reply.error)];
  const opt = {
    size: OUR_UDP_SIZE,
    version: 0,
    rcodeHigh: reply.rcode >> 4,
    dnssecOk: edns.dnssecOk,
    options: [...error, ...reply.options ?? []],
  };
  const limit = via === "tcp" ? MAX_MESSAGE : Math.min(MAX_UDP, Math.max(MIN_UDP, edns.size));
  return encodeMessage({ ...message, edns: opt }, limit);
}

/** A header with nothing after it, for messages of which no more was understood. */
export function bareReply({ id, flags }: Header, rcode: number): Uint8Array {
  return encodeMessage({
    id,
    flags: Flag.QR | Flag.RA | flags & (OPCODE | ECHOED) | rcode,
    questions: [],
    answers: [],
    authorities: [],
    additionals: [],
  });
}

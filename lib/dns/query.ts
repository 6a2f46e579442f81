/**
 * Reading what the guest sent to port 53. Only a plain question about the internet's names gets any
 * further; everything else is answered here, or not at all, and no byte of it goes anywhere.
 *
 * @module
 */
import { bareReply, replyTo } from "./reply.ts";
import { Class, Ede, Flag, Rcode, Type } from "./wire/codes.ts";
import { type Header, parseHeader, parseMessage } from "./wire/decode.ts";
import { type Edns, type Message, opcodeOf, type Question } from "./wire/message.ts";
import { MalformedDns } from "./wire/wire_name.ts";

/** A question that may be judged. */
export interface GuestQuery {
  readonly id: number;
  readonly flags: number;
  readonly question: Question;
  readonly edns?: Edns;
}

export type Reading =
  | { readonly kind: "query"; readonly query: GuestQuery }
  | { readonly kind: "reply"; readonly bytes: Uint8Array; readonly question?: Question }
  | { readonly kind: "ignore" };

/**
 * Types that are no records (RFC 6895 §3.1): transfers of whole zones, keys for signed transactions,
 * and the OPT record, which is not asked for.
 */
const META: ReadonlySet<number> = new Set([
  0,
  Type.OPT,
  Type.TKEY,
  Type.TSIG,
  Type.IXFR,
  Type.AXFR,
  Type.MAILB,
  Type.MAILA,
]);

/** A question needs none but OPT; signed ones have another. */
const MAX_RECORDS = 16;

export function readQuery(bytes: Uint8Array): Reading {
  const header = parseHeader(bytes);
  // Answering answers is how two servers are made to talk to each other for ever.
  if (header === null || (header.flags & Flag.QR) !== 0) return { kind: "ignore" };
  // Of another operation only the header's first words mean the same (RFC 1035 §4.1.1, RFC 2136).
  if (opcodeOf(header) !== 0) return bare(header, Rcode.NotImp);
  if (header.questions !== 1) return bare(header, Rcode.FormErr); // RFC 9619
  try {
    return read(parseMessage(bytes, true, MAX_RECORDS), header);
  } catch (error) {
    if (error instanceof MalformedDns) return bare(header, Rcode.FormErr);
    throw error;
  }
}

function read({ id, flags, questions, edns }: Message, header: Header): Reading {
  const [question] = questions;
  if (question === undefined) return bare(header, Rcode.FormErr);
  const query = { id, flags, question, ...(edns === undefined ? {} : { edns }) };
  if (edns !== undefined && edns.version !== 0) {
    return { kind: "reply", bytes: replyTo(query, { rcode: Rcode.BadVers }, "udp"), question };
  }
  if (question.class !== Class.IN || META.has(question.type)) {
    const error = { code: Ede.NotSupported, text: "query-invalid" };
    const bytes = replyTo(query, { rcode: Rcode.Refused, error }, "udp");
    return { kind: "reply", bytes, question };
  }
  return { kind: "query", query };
}

function bare(header: Header, rcode: number): Reading {
  return { kind: "reply", bytes: bareReply(header, rcode) };
}

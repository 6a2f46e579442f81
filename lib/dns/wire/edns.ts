/**
 * EDNS (RFC 6891): the OPT record, and extended DNS errors (RFC 8914) in it.
 *
 * @module
 */
import { Cursor } from "../../base/cursor.ts";
import { Type } from "./codes.ts";
import type { Edns, EdnsOption, Message, Resource } from "./message.ts";
import { MalformedDns, ROOT } from "./wire_name.ts";

/** The UDP payload sbx asks of resolvers: small enough not to be fragmented (RFC 9715). */
export const OUR_UDP_SIZE = 1232;

const EDE_OPTION = 15;
const DNSSEC_OK = 0x8000;

/** Why an answer is what it is, in words for a person. */
export interface ExtendedError {
  readonly code: number;
  readonly text: string;
}

/** An OPT record's fields mean something else than those of other records (RFC 6891 §6.1.3). */
export function ednsOf(record: Resource): Edns {
  if (record.name.length !== 1) throw new MalformedDns("OPT record that the root does not own");
  const options: EdnsOption[] = [];
  const cursor = new Cursor(record.data);
  while (cursor.left > 0) {
    const code = cursor.u16();
    options.push({ code, data: cursor.take(cursor.u16()) });
  }
  return {
    size: record.class,
    rcodeHigh: record.ttl >>> 24,
    version: record.ttl >>> 16 & 0xff,
    dnssecOk: (record.ttl & DNSSEC_OK) !== 0,
    options,
  };
}

export function optRecord({ size, rcodeHigh, version, dnssecOk, options }: Edns): Resource {
  const data = new Uint8Array(options.reduce((sum, option) => sum + 4 + option.data.length, 0));
  const view = new DataView(data.buffer);
  let at = 0;
  for (const option of options) {
    view.setUint16(at, option.code);
    view.setUint16(at + 2, option.data.length);
    data.set(option.data, at + 4);
    at += 4 + option.data.length;
  }
  const ttl = rcodeHigh * 0x100_0000 + version * 0x1_0000 + (dnssecOk ? DNSSEC_OK : 0);
  return { name: ROOT, type: Type.OPT, class: size, ttl, data };
}

/** So that the smallest UDP answer has room for it beside the longest name. */
const MAX_ERROR = 200;

/** The option that carries an extended error, its text cut where it is long. */
export function errorOption({ code, text }: ExtendedError): EdnsOption {
  const words = new TextEncoder().encode(text).subarray(0, MAX_ERROR - 2);
  const data = new Uint8Array(2 + words.length);
  new DataView(data.buffer).setUint16(0, code);
  data.set(words, 2);
  return { code: EDE_OPTION, data };
}

/** Signatures that are wrong, out of their time or missing (RFC 8914 §4.7 to §4.13). */
const BOGUS: ReadonlySet<number> = new Set([6, 7, 8, 9, 10, 11, 12]);

/** Whether the resolver says that somebody forged what it found. */
export function isBogus({ edns }: Pick<Message, "edns">): boolean {
  return extendedErrors(edns).some(({ data }) => BOGUS.has(new Cursor(data).u16()));
}

/** The first extended error of a resolver's answer, unless it is long. */
export function extendedErrors(edns: Edns | undefined): EdnsOption[] {
  return (edns?.options ?? [])
    .filter(({ code, data }) => code === EDE_OPTION && data.length >= 2 && data.length <= MAX_ERROR)
    .slice(0, 1);
}

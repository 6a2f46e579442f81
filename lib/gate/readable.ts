/**
 * What a request may ask of its server so that the answer can be read: the content codings that are
 * decoded here, and none of what would take a part of a coded body, or leave HTTP for something compressed.
 *
 * @module
 */
import { type Field, listOf, trim, valuesOf } from "../http/fields.ts";
import { codingsOf } from "../secret/content_coding.ts";

/** permessage-deflate (RFC 7692), and whatever else makes frames unreadable. */
export const EXTENSIONS = "sec-websocket-extensions";

/** In which the messages of an answer are compressed one by one: of gRPC and Connect. */
export const MESSAGE_CODINGS: readonly string[] = ["grpc-encoding", "connect-content-encoding"];

/** Wishes for answers that cannot be read; a server goes without where there is none. */
const UNREADABLE: ReadonlySet<string> = new Set([
  "a-im", // RFC 3229
  "grpc-accept-encoding",
  "connect-accept-encoding",
]);

/** Of a request, in their order; the same ones when there is nothing to change. `upgrade`: to a WebSocket. */
export function askReadable(fields: readonly Field[], upgrade: boolean): readonly Field[] {
  const known = fields.filter(({ key }) => !UNREADABLE.has(key));
  const kept = upgrade ? withoutExtensions(known) : known;
  const asked = kept.filter(isWish);
  if (asked.length === 0) return kept.length === fields.length ? fields : kept;
  const wished = listOf(kept, "accept-encoding");
  // A part of what is coded cannot be decoded.
  const wishes = valuesOf(kept, "range").length > 0 ? [] : wished.flatMap(readable);
  if (kept.length === fields.length && isSame(wished, wishes)) return fields;
  const value = wishes.length === 0 ? "identity" : wishes.join(", ");
  return kept.flatMap((field) =>
    isWish(field) ? field === asked[0] ? [{ ...field, value }] : [] : [field]
  );
}

/** So that a server agrees to none: messages that are compressed cannot be read. */
export function withoutExtensions(fields: readonly Field[]): readonly Field[] {
  return fields.filter(({ key }) => key !== EXTENSIONS);
}

function isWish({ key }: Field): boolean {
  return key === "accept-encoding";
}

/** Nearly all that clients wish for. */
const USUAL: ReadonlySet<string> = new Set(["gzip", "deflate", "br", "zstd", "identity"]);

/** A member as it may stay. "Any other" would be those that are not known as well, and becomes one that is. */
function readable(member: string): string[] {
  const semicolon = member.indexOf(";");
  if (semicolon < 0 && USUAL.has(member)) return [member];
  const coding = trim(semicolon < 0 ? member : member.slice(0, semicolon));
  const weight = semicolon < 0 ? "" : member.slice(semicolon);
  if (coding !== "*") return codingsOf([coding]) === null ? [] : [member];
  return NEVER.test(weight) ? [member] : [`gzip${weight}`];
}

/** RFC 9110 12.4.2 */
const NEVER = /^;[ \t]*q=0(?:\.0{0,3})?[ \t]*$/i;

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((member, at) => member === other[at]);
}

/**
 * Record data that holds names.
 *
 * Names inside the older of these types may be compressed (RFC 1035 §3.3 allows it, and RFC 3597 §4
 * asks receivers to cope in some younger ones), so the data cannot be copied out of its message as it
 * is: it is read with its names expanded. In the youngest, names must not be compressed; one that is
 * would point into whatever message it is copied to, and its record is of no use. All other types are
 * opaque bytes.
 *
 * @module
 */
import { Cursor, Truncated } from "../../base/cursor.ts";
import { Type } from "./codes.ts";
import type { Resource } from "./message.ts";
import { MalformedDns, readName, readPlainName } from "./wire_name.ts";

/** A field: so many bytes, a character string, a name, one without compression, or all that is left. */
type Field = number | "string" | "name" | "plain" | "rest";

const LAYOUTS: ReadonlyMap<number, readonly Field[]> = new Map<number, readonly Field[]>([
  [Type.NS, ["name"]],
  [Type.MD, ["name"]],
  [Type.MF, ["name"]],
  [Type.CNAME, ["name"]],
  [Type.SOA, ["name", "name", 20]],
  [Type.MB, ["name"]],
  [Type.MG, ["name"]],
  [Type.MR, ["name"]],
  [Type.PTR, ["name"]],
  [Type.MINFO, ["name", "name"]],
  [Type.MX, [2, "name"]],
  [Type.RP, ["name", "name"]],
  [Type.AFSDB, [2, "name"]],
  [Type.RT, [2, "name"]],
  [Type.SIG, [18, "name", "rest"]],
  [Type.PX, [2, "name", "name"]],
  [Type.NXT, ["name", "rest"]],
  [Type.SRV, [6, "name"]],
  [Type.NAPTR, [4, "string", "string", "string", "name"]],
  [Type.KX, [2, "name"]],
  [Type.DNAME, ["name"]],
]);

/** What stands before a name, or in its place, can say what there is. */
type Layout = readonly Field[] | ((data: Uint8Array) => readonly Field[]);

const PLAIN: ReadonlyMap<number, Layout> = new Map<number, Layout>([
  [Type["NSAP-PTR"], ["plain"]],
  [Type.A6, ([prefix = 0]) => [1 + Math.ceil((128 - prefix) / 8), ...(prefix > 0 ? PLAINLY : [])]],
  [Type.IPSECKEY, ([, kind]) => [3, ...gateway(kind), "rest"]],
  [Type.RRSIG, [18, "plain", "rest"]],
  [Type.NSEC, ["plain", "rest"]],
  [Type.HIP, (data) => [hostIdentity(data), ...rendezvousServers(data)]],
  [Type.TALINK, ["plain", "plain"]],
  [Type.DSYNC, [5, "plain"]],
  [Type.LP, [2, "plain"]],
  [Type.TKEY, ["plain", "rest"]],
  [Type.TSIG, ["plain", "rest"]],
  [Type.AMTRELAY, ([, kind = 0]) => [2, ...gateway(kind & 0x7f), "rest"]],
]);

const PLAINLY = ["plain"] as const;

/** RFC 4025 §2.5 and RFC 8777 §4.2.3: none, an IPv4 or IPv6 address, a name, or who knows what. */
function gateway(kind: number | undefined): readonly Field[] {
  return kind === 3 ? PLAINLY : [];
}

/** RFC 8005 §5: the bytes of the identity's tag and key, with their lengths. */
function hostIdentity([tag = 0, , high = 0, low = 0]: Uint8Array): number {
  return 4 + tag + (high << 8 | low);
}

function rendezvousServers(data: Uint8Array): Field[] {
  const cursor = new Cursor(data, Math.min(data.length, hostIdentity(data)));
  const servers: Field[] = [];
  for (; cursor.left > 0; readPlainName(cursor)) servers.push("plain");
  return servers;
}

/** Whether the names that must not be compressed are not. */
export function isSelfContained({ type, data }: Resource): boolean {
  const layout = PLAIN.get(type);
  if (layout === undefined || data.length === 0) return true;
  try {
    piecesOf(new Cursor(data), typeof layout === "function" ? layout(data) : layout, data.length);
    return true;
  } catch (error) {
    if (error instanceof MalformedDns || error instanceof Truncated) return false;
    throw error;
  }
}

/** Types whose names a sender may compress: those of RFC 1035 only (RFC 3597 §4). */
const COMPRESSIBLE: ReadonlySet<number> = new Set([
  Type.NS,
  Type.MD,
  Type.MF,
  Type.CNAME,
  Type.SOA,
  Type.MB,
  Type.MG,
  Type.MR,
  Type.PTR,
  Type.MINFO,
  Type.MX,
]);

/** A stretch of record data. */
export interface Piece {
  readonly kind: "bytes" | "name";
  readonly bytes: Uint8Array;
}

/** Reads data that ends at `end`; names come out uncompressed. */
export function readData(cursor: Cursor, type: number, end: number): Uint8Array {
  if (end > cursor.bytes.length) throw new MalformedDns("record ends early");
  const layout = LAYOUTS.get(type);
  // RFC 2136 §2.4 and opaque types alike: no data is no data.
  if (layout === undefined || cursor.at === end) return cursor.bytes.slice(cursor.at, end);
  const [only, ...others] = piecesOf(cursor, layout, end);
  if (only !== undefined && others.length === 0) return only.bytes.slice();
  const pieces = only === undefined ? others : [only, ...others];
  const data = new Uint8Array(pieces.reduce((sum, { bytes }) => sum + bytes.length, 0));
  let at = 0;
  for (const { bytes } of pieces) {
    data.set(bytes, at);
    at += bytes.length;
  }
  return data;
}

/** The pieces a writer compresses; null when the data is to be copied as it is. */
export function compressiblePieces(data: Cursor, type: number): readonly Piece[] | null {
  const layout = COMPRESSIBLE.has(type) && data.left > 0 ? LAYOUTS.get(type) : undefined;
  return layout === undefined ? null : piecesOf(data, layout, data.bytes.length);
}

function piecesOf(cursor: Cursor, layout: readonly Field[], end: number): Piece[] {
  const pieces = layout.map((field): Piece => {
    if (field === "name") return { kind: "name", bytes: readName(cursor) };
    if (field === "plain") return { kind: "name", bytes: readPlainName(cursor) };
    const size = field === "rest"
      ? end - cursor.at
      : field === "string"
      ? 1 + (cursor.bytes[cursor.at] ?? 0)
      : field;
    return { kind: "bytes", bytes: cursor.take(Math.max(0, size)) };
  });
  if (cursor.at !== end) throw new MalformedDns("record data of the wrong length");
  return pieces;
}

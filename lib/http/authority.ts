/**
 * Whom a request is for (RFC 9110 7.2): one host, stated once, the one that its connection is to.
 *
 * @module
 */
import { parseAddress } from "../base/address.ts";
import { nameFromWire } from "../base/name.ts";

/** A stated host in canonical form. */
export interface Authority {
  /** A name, or the text of an address without brackets. */
  readonly host: string;
  readonly port?: number;
}

export type Scheme = "http" | "https";

/** Where the connection goes, and so what its requests must state. */
export interface Destination {
  readonly scheme: Scheme;
  /** Canonical; null when any host may be asked for, as on a connection of plain HTTP. */
  readonly host: string | null;
  readonly port: number;
  /** It is to a proxy, or to what is spoken to as one: requests name hosts and ports of others. */
  readonly proxy?: true;
}

/** No user, no path, no empty port. */
const SHAPE = /^(\[[0-9A-Fa-f:.]{2,45}\]|[^\s:@/\\[\]?#]+)(?::([1-9][0-9]{0,4}))?$/;

/** Reads `host[:port]` off the wire; null when two servers might read it in two ways. */
export function parseAuthority(text: string): Authority | null {
  const match = SHAPE.exec(text);
  const stated = match?.[1];
  if (stated === undefined) return null;
  const bracketed = stated.startsWith("[");
  const address = parseAddress(bracketed ? stated.slice(1, -1) : stated);
  if (bracketed && (address === null || address.family !== 6)) return null;
  const host = address?.text ?? nameFromWire(stated);
  if (host === null) return null;
  const port = match?.[2] === undefined ? undefined : Number(match[2]);
  if (port !== undefined && port > 65_535) return null;
  return port === undefined ? { host } : { host, port };
}

/** Whether a request that states `stated` may travel on a connection to `destination`. */
export function isFor(destination: Omit<Destination, "scheme">, stated: Authority): boolean {
  if (destination.proxy === true) return true;
  if (stated.port !== undefined && stated.port !== destination.port) return false;
  return destination.host === null || destination.host === stated.host;
}

/**
 * The authority as it is sent on: as the guest wrote it, where that is the canonical form in capitals or not.
 * Anything else that two servers could read in two ways is made canonical.
 */
export function sentAuthority(written: string, authority: Authority): string {
  const canonical = formatAuthority(authority);
  return written.toLowerCase() === canonical ? written : canonical;
}

/** `host[:port]` in its canonical form, with the port where it was stated. */
export function formatAuthority({ host, port }: Authority): string {
  const text = host.includes(":") ? `[${host}]` : host;
  return port === undefined ? text : `${text}:${port}`;
}

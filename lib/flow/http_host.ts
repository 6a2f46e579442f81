/**
 * The host that a plain HTTP/1 request names, from the first bytes of a flow. Pure.
 *
 * Only the first request of a connection is looked at: what follows travels on the flow that was
 * judged, to the address that was judged.
 *
 * @module
 */
import { parseAddress } from "../base/address.ts";
import { canonicalName } from "../base/name.ts";

export type HostParse =
  /** Null: a request without a host, or one that names an address. */
  | { readonly kind: "http"; readonly host: string | null }
  | { readonly kind: "invalid"; readonly why: string }
  | { readonly kind: "partial" }
  | { readonly kind: "not-http" };

const MAX_HEAD = 32 * 1024;

const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) (\S+) HTTP\/1\.[01]$/;

/** Parses the head as far as it is there. Never throws. */
export function parseHttpHost(bytes: Uint8Array): HostParse {
  const text = latin1(bytes.subarray(0, MAX_HEAD));
  const lineEnd = text.indexOf("\n");
  if (lineEnd < 0) {
    return /^[A-Z]{1,16}( \S*){0,2}$/.test(text.replace(/\r$/, "")) && text.length < MAX_HEAD
      ? { kind: "partial" }
      : { kind: "not-http" };
  }
  const line = text.slice(0, lineEnd).replace(/\r$/, "");
  if (line === "PRI * HTTP/2.0") return { kind: "invalid", why: "HTTP/2 without TLS" };
  const match = REQUEST_LINE.exec(line);
  if (match === null) return { kind: "not-http" };
  const end = /\r?\n\r?\n/.exec(text);
  if (end === null) {
    return text.length < MAX_HEAD ? { kind: "partial" } : { kind: "invalid", why: "head too long" };
  }
  const hosts = hostFields(text.slice(lineEnd + 1, end.index));
  const target = authorityOf(match[1] ?? "", match[2] ?? "");
  const stated = target === null ? hosts : [target, ...hosts];
  if (hosts.length > 1) return { kind: "invalid", why: "more than one Host" };
  const names = new Set(stated.map(nameOf));
  if (names.has(undefined)) return { kind: "invalid", why: "malformed Host" };
  if (names.size > 1) return { kind: "invalid", why: "Host and target differ" };
  return { kind: "http", host: [...names][0] ?? null };
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return text;
}

function hostFields(head: string): string[] {
  return head.split("\n").flatMap((line) => {
    const match = /^host[ \t]*:[ \t]*(.*?)[ \t]*\r?$/i.exec(line);
    return match === null ? [] : [match[1] ?? ""];
  });
}

/** The authority of an absolute-form or authority-form target (RFC 9112 3.2). */
function authorityOf(method: string, target: string): string | null {
  if (method === "CONNECT") return target;
  return /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)/.exec(target)?.[1] ?? null;
}

/** The canonical name of `host[:port]`; null for an address, undefined when malformed. */
function nameOf(authority: string): string | null | undefined {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[^\s:@/\\[\]]+)(?::\d{1,5})?$/.exec(authority);
  const host = match?.[1];
  if (host === undefined) return undefined;
  if (parseAddress(host.replace(/^\[|\]$/g, "")) !== null) return null;
  return canonicalName(host) ?? undefined;
}

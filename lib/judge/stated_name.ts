/**
 * The name that the first bytes of a flow state: the server name of TLS, the host of plain HTTP. Pure.
 *
 * @module
 */
import type { ClientHello } from "../tls/client_hello.ts";
import type { FirstEnd } from "./flow_info.ts";
import { readHello } from "./hello.ts";
import { parseHttpHost } from "./http_host.ts";

export type Stated =
  | { readonly kind: "name"; readonly name: string } & Carrier
  /** The flow states no name: no TLS, no HTTP, or neither with a name. */
  | { readonly kind: "none" } & Carrier
  /** A name may hide in there, but which is not to be told for sure. */
  | { readonly kind: "invalid"; readonly why: string };

/** Whom a request is written for: a server, or a proxy (RFC 9112 3.2). */
export type StatedHttp = "origin" | "proxy";

/** What it is stated in. */
interface Carrier {
  readonly http?: StatedHttp;
  readonly hello?: ClientHello;
}

/** Never throws. `end` tells why there are no more bytes. */
export function statedName(first: Uint8Array, end: FirstEnd): Stated {
  if (first.length === 0) return { kind: "none" };
  const tls = readHello(first);
  switch (tls.kind) {
    case "hello":
      return tls.hello.sni === null
        ? { kind: "none", hello: tls.hello }
        : { kind: "name", name: tls.hello.sni, hello: tls.hello };
    case "invalid":
      return tls;
    case "partial":
      return { kind: "invalid", why: unfinished("ClientHello", end) };
    case "not-tls":
  }
  const http = parseHttpHost(first);
  switch (http.kind) {
    case "http": {
      const form = { http: http.proxied === true ? "proxy" : "origin" } as const;
      return http.host === null
        ? { kind: "none", ...form }
        : { kind: "name", name: http.host, ...form };
    }
    case "invalid":
      return http;
    case "partial":
      return { kind: "invalid", why: unfinished("request", end) };
    case "open":
      // More than netstack keeps is shown only when the rest made it something that is not to pass.
      if (end === "full") return { kind: "invalid", why: unfinished("request", end) };
      return { kind: "none" };
    case "not-http":
      return { kind: "none" };
  }
}

function unfinished(what: string, end: FirstEnd): string {
  return end === "full" ? `an endless ${what}` : `an unfinished ${what}`;
}

/**
 * The opening handshake of a WebSocket (RFC 6455 4). Pure. Past it, bytes are relayed unread.
 *
 * A connection leaves HTTP only when the guest asked for exactly this and the server proves that it
 * understood: a half-asked upgrade is how the next request slips past its checks.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { listOf, valuesOf } from "./fields.ts";
import type { RequestHead, ResponseHead } from "./h1/head.ts";

/** 16 bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

/** The key of a proper request to upgrade; null when the request is none and stays HTTP. */
export function websocketKey(head: RequestHead): string | null {
  const { method, minor, fields } = head;
  if (method !== "GET" || minor !== 1) return null;
  const upgrade = valuesOf(fields, "upgrade");
  if (upgrade.length !== 1 || upgrade[0]?.toLowerCase() !== "websocket") return null;
  if (!listOf(fields, "connection").includes("upgrade")) return null;
  const [version, ...versions] = valuesOf(fields, "sec-websocket-version");
  const [key, ...keys] = valuesOf(fields, "sec-websocket-key");
  if (version !== "13" || versions.length > 0 || keys.length > 0) return null;
  return key !== undefined && KEY.test(key) ? key : null;
}

/** Whether a 101 is the answer to the request with this key. */
export function acceptsWebsocket(head: ResponseHead, key: string): boolean {
  const upgrade = valuesOf(head.fields, "upgrade");
  const accept = valuesOf(head.fields, "sec-websocket-accept");
  return upgrade.length === 1 && upgrade[0]?.toLowerCase() === "websocket" &&
    listOf(head.fields, "connection").includes("upgrade") &&
    accept.length === 1 && accept[0] === acceptOf(key);
}

/** RFC 6455 4.2.2. */
export function acceptOf(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

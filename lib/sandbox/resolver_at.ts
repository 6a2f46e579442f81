/**
 * Where a resolver answers, from its text.
 *
 * @module
 */
import { isIPv6 } from "node:net";
import type { Resolver } from "../dns/upstream.ts";

const DNS_PORT = 53;

/** `ADDR`, `ADDR:PORT` or `[ADDR]:PORT`, already checked by whoever read the option. */
export function resolverAt(text: string): Resolver {
  if (isIPv6(text)) return { address: text, port: DNS_PORT };
  const match = /^\[?([^\]]+?)\]?(?::(\d+))?$/.exec(text);
  return { address: match?.[1] ?? text, port: Number(match?.[2] ?? DNS_PORT) };
}

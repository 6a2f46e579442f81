/**
 * Where an allowed flow is dialled, when that has to be said.
 *
 * netstack dials the judged address, but never one of these: neither the host's own nor those that
 * lead somewhere unexpected. Policy may have opened one knowingly; then the verdict names it, so that
 * no other mistake can lead there.
 *
 * @module
 */
import { cidrHas, formatEndpoint, parseAddress, parseCidr } from "../base/address.ts";
import { loopbackFor } from "../policy/model/endpoint.ts";
import type { FlowInfo } from "./flow_info.ts";

/** netstack's guard rails, in `guard.go`; test/vectors/guarded.json holds the two together. */
export const GUARDED_BLOCKS: readonly string[] = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "224.0.0.0/4",
  "240.0.0.0/4",
  "::/128",
  "::1/128",
  "fe80::/10",
  "ff00::/8",
  "64:ff9b::/96",
  "64:ff9b:1::/48",
  "2002::/16",
];

const GUARDED = GUARDED_BLOCKS.flatMap((text) => parseCidr(text) ?? []);

/** Whether the address is never dialled unless the verdict names it. */
export function isGuarded(text: string): boolean {
  const address = parseAddress(text);
  return address === null || GUARDED.some((block) => cidrHas(block, address));
}

/** The address to name in the verdict, or null when netstack may dial the judged one as it is. */
export function explicitDial(
  { gateways, hosts }: {
    readonly gateways: ReadonlySet<string>;
    readonly hosts: ReadonlySet<string>;
  },
  { dst, dport, own }: Pick<FlowInfo, "dst" | "dport" | "own">,
): string | null {
  if (gateways.has(dst)) return formatEndpoint(loopbackFor(dst), dport);
  return own === true || hosts.has(dst) || isGuarded(dst) ? formatEndpoint(dst, dport) : null;
}

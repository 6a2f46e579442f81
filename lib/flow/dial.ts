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
import type { FlowEnd, FlowInfo } from "./control_message.ts";

/** netstack's guard rails, in `guard.go`. */
const GUARDED = [
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
].flatMap((text) => parseCidr(text) ?? []);

/** How a flow ends whose server could not be reached; `code` is the system's. */
export function endOfDial(code: string): FlowEnd {
  switch (code) {
    case "ECONNREFUSED":
      return "refused";
    case "ETIMEDOUT":
      return "timeout";
    case "ECANCELED":
      return "gone";
    case "ECONNRESET":
      return "reset-upstream";
    default:
      return "unreachable";
  }
}

/** The inverse of `formatEndpoint`, for what it wrote. */
export function parseAddressPort(text: string): {
  readonly address: string;
  readonly port: number;
} {
  const colon = text.lastIndexOf(":");
  const address = text.slice(0, colon).replace(/^\[|\]$/g, "");
  return { address, port: Number(text.slice(colon + 1)) };
}

/** The address to name in the verdict, or null when netstack may dial the judged one as it is. */
export function explicitDial(
  { gateways, hosts }: {
    readonly gateways: ReadonlySet<string>;
    readonly hosts: ReadonlySet<string>;
  },
  { dst, dport }: Pick<FlowInfo, "dst" | "dport">,
): string | null {
  // Nothing listens on the gateway; it is the name under which the guest knows this machine.
  if (gateways.has(dst)) return formatEndpoint(dst.includes(":") ? "::1" : "127.0.0.1", dport);
  if (hosts.has(dst)) return formatEndpoint(dst, dport);
  const address = parseAddress(dst);
  const guarded = address === null || GUARDED.some((block) => cidrHas(block, address));
  return guarded ? formatEndpoint(dst, dport) : null;
}

/**
 * How a dial ended, and where it went.
 *
 * @module
 */
import { formatEndpoint } from "../base/address.ts";
import { isGuarded } from "../judge/dial.ts";
import type { FlowInfo } from "../judge/flow_info.ts";
import type { Ruling } from "../judge/ruling.ts";
import type { FlowEnd } from "./control_message.ts";

/** Where sbx dials for a flow that it serves. */
export interface DialTarget {
  readonly at: string;
  readonly address: string;
  readonly port: number;
  /** It is the judged address, and no other was named: guard rails hold for it. */
  readonly implicit: boolean;
}

/** Null for what is never dialled. */
export function dialTarget(
  { info, ruling }: { readonly info: FlowInfo; readonly ruling: Ruling },
): DialTarget | null {
  const implicit = ruling.dial === undefined;
  if (implicit && (isGuarded(info.dst) || info.own === true)) return null;
  const at = ruling.dial ?? formatEndpoint(info.dst, info.dport);
  return { at, ...parseAddressPort(at), implicit };
}

/** Stands for the system's code of a dial that was not made. */
export const GUARD_CODE = "EGUARD";

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
    case GUARD_CODE:
      return "guard";
    default:
      return "unreachable";
  }
}

/** The inverse of `formatEndpoint`, for what it wrote. */
function parseAddressPort(text: string): {
  readonly address: string;
  readonly port: number;
} {
  const colon = text.lastIndexOf(":");
  const address = text.slice(0, colon).replace(/^\[|\]$/g, "");
  return { address, port: Number(text.slice(colon + 1)) };
}

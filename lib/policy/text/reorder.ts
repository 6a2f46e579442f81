/**
 * What the user meant by a rule whose parts stand in the wrong places: `api.example.com@allow`,
 * `allow api.example.com:443`, `deny@tcp:10.0.0.5:22`.
 *
 * @module
 */

import { parseCidr } from "../../base/address.ts";

interface Parts {
  actions: string[];
  directions: string[];
  targets: string[];
  protocols: string[];
  ports: string[];
}

/** Recognises each part by its form; the line in the right order, or null when that is not clear. */
export function reorder(line: string): string | null {
  // Long lines and ones without structure are not slips of order.
  if (line.length > 300) return null;
  const parts: Parts = { actions: [], directions: [], targets: [], protocols: [], ports: [] };
  for (const piece of line.split(/[\s@]+/)) {
    for (const token of tokensOf(piece)) parts[kindOf(token)].push(token);
  }
  const [action, secondAction] = parts.actions;
  const [target, secondTarget] = parts.targets;
  if (action === undefined || target === undefined) return null;
  if (secondAction !== undefined || secondTarget !== undefined || parts.directions.length > 1) {
    return null;
  }
  const direction = parts.directions.map((word) => `:${word}`).join("");
  const protocols = parts.protocols.join(",") || (parts.ports.length > 0 ? "tcp" : "");
  const scope = [protocols, parts.ports.join(",")].filter((part) => part !== "").join(":");
  const bracketed = scope !== "" && target.includes(":") ? `[${target}]` : target;
  return `${action}${direction}@${bracketed}${scope === "" ? "" : `:${scope}`}`;
}

function tokensOf(piece: string): string[] {
  if (parseCidr(piece) !== null) return [piece];
  // deno-lint-ignore sbx/linear-pattern -- of 300 characters at most
  const bracketed = /^(.*)\[([^\]]*)\](.*)$/.exec(piece);
  if (bracketed === null) return piece.split(":").filter((token) => token !== "");
  const [, before = "", inside = "", after = ""] = bracketed;
  return [...tokensOf(before), inside, ...tokensOf(after)];
}

function kindOf(token: string): keyof Parts {
  if (/^(?:allow|deny)$/.test(token)) return "actions";
  if (/^(?:outbound|inbound|both|egress|ingress)$/.test(token)) return "directions";
  if (/^(?:tcp|udp|icmp|icmpv4|icmpv6)(?:,|$)/.test(token)) return "protocols";
  if (/^[0-9]+(?:-[0-9]+)?(?:,|$)/.test(token)) return "ports";
  return "targets";
}

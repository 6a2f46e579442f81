/**
 * The one-line form of a rule, the same on the command line and in files:
 *
 *     allow|deny[:outbound|inbound|both]@TARGET[:PROTO[:PORTS]]
 *
 *     allow@api.github.com:tcp:443        deny@private
 *     allow@*.npmjs.org:tcp:443,8000-8010 deny@[2001:db8::/32]:udp
 *     allow:inbound@192.168.1.0/24        allow@host:any:8080
 *
 * An IPv6 target stands in brackets when something follows it. `egress` and `ingress` are read as
 * `outbound` and `inbound`.
 *
 * @module
 */

import { parseCidr } from "../../base/address.ts";
import type { Action, Destination, Direction, Rule } from "../model/policy.ts";
import {
  checkScope,
  formatPorts,
  formatProtocols,
  PROTOCOL_WORDS,
  readPorts,
  readProtocols,
} from "../model/ports.ts";
import { formatTarget, readAsEndpoint, readTarget } from "../model/target.ts";
import { orError, PolicyFault, quote, unknownWord } from "./fault.ts";
import { reorder } from "./reorder.ts";

export const ACTION_WORDS: readonly Action[] = ["allow", "deny"];
export const DIRECTION_WORDS: readonly string[] = [
  "outbound",
  "inbound",
  "both",
  "egress",
  "ingress",
];

/** Reads a rule line; throws `SbxError` POLICY_INVALID that says how to write it. */
export function parseRule(text: string): Rule {
  return orError(`read rule ${quote(text)}`, () => readRule(text));
}

/** Reads the value of `--allow` or `--deny`: `TARGET[:PORTS]`, outbound, any protocol. */
export function parseShortRule(action: Action, text: string): Rule {
  return orError(`read --${action} ${quote(text)}`, () => {
    const [target, ports, surplus] = splitTarget(text.trim(), "");
    if (surplus !== undefined || (ports !== undefined && isProtocols(ports))) {
      throw new PolicyFault(
        "this short form takes no protocol",
        `use --rule '${action}@${text.trim()}'`,
      );
    }
    return {
      action,
      direction: "outbound",
      destination: readTarget(target),
      protocols: [],
      ports: ports === undefined ? [] : readPorts(ports),
    };
  });
}

/** Reads a target on its own; throws `SbxError` POLICY_INVALID. */
export function parseTarget(text: string): Destination {
  return orError(`read target ${quote(text)}`, () => {
    const [target, surplus] = splitTarget(text.trim(), "");
    if (surplus !== undefined) throw new PolicyFault(`${quote(text)} is more than a target`);
    return readTarget(target);
  });
}

/** Like {@link parseRule}, but throws a `PolicyFault`, for readers that know a better place. */
export function readRule(text: string): Rule {
  const line = text.trim();
  try {
    return readOrdered(line);
  } catch (fault) {
    const better = reorder(line);
    if (better === null || better === line || !isRule(better)) throw fault;
    throw new PolicyFault("its parts are not in the order of a rule", `write ${better}`);
  }
}

function readOrdered(line: string): Rule {
  const at = line.indexOf("@");
  if (at < 0) {
    throw new PolicyFault(
      'there is no "@" between action and target',
      "write it like allow@api.example.com:tcp:443",
    );
  }
  const [action = "", direction, surplus] = line.slice(0, at).split(":");
  if (!isAction(action)) throw unknownWord("action", action, ACTION_WORDS);
  if (surplus !== undefined) throw new PolicyFault(`${quote(surplus)} is out of place`);
  const [target, protocols, ports] = splitTarget(line.slice(at + 1), "any:");
  if (target === "") throw new PolicyFault("the target is missing", `write ${action}@any`);
  const destination = readTarget(target);
  const scope = {
    protocols: protocols === undefined ? [] : readProtocols(protocols),
    ports: ports === undefined ? [] : readPorts(ports),
  };
  checkScope(action, destination, scope);
  return {
    action,
    direction: direction === undefined ? "outbound" : readDirection(direction),
    destination,
    ...scope,
  };
}

function isRule(line: string): boolean {
  try {
    readOrdered(line);
    return true;
  } catch (fault) {
    if (!(fault instanceof PolicyFault)) throw fault;
    return false;
  }
}

export function readDirection(word: string): Direction | "both" {
  switch (word.toLowerCase()) {
    case "outbound":
    case "egress":
      return "outbound";
    case "inbound":
    case "ingress":
      return "inbound";
    case "both":
      return "both";
    default:
      throw unknownWord("direction", word, DIRECTION_WORDS);
  }
}

/** The line that {@link parseRule} reads back to the same rule. */
export function formatRule(rule: Rule): string {
  const direction = rule.direction === "outbound" ? "" : `:${rule.direction}`;
  const scope = rule.ports.length > 0
    ? `:${formatProtocols(rule.protocols)}:${formatPorts(rule.ports)}`
    : rule.protocols.length > 0
    ? `:${formatProtocols(rule.protocols)}`
    : "";
  const target = formatTarget(rule.destination);
  const needsBrackets = scope === "" ? readAsEndpoint(target) !== null : target.includes(":");
  const bracketed = needsBrackets ? `[${target}]` : target;
  return `${rule.action}${direction}@${bracketed}${scope}`;
}

/** `TARGET`, then what follows it, cut at colons. `anyProtocol` stands in front of ports there. */
function splitTarget(text: string, anyProtocol: "" | "any:"): [target: string, ...string[]] {
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    const after = text.slice(close + 1);
    if (close < 0 || (after !== "" && !after.startsWith(":"))) {
      throw new PolicyFault("the brackets around the address do not match");
    }
    const target = text.slice(1, close);
    return after === "" ? [target] : [target, ...after.slice(1).split(":")];
  }
  const endpoint = readAsEndpoint(text);
  if (endpoint !== null) {
    const { address, port } = endpoint;
    throw new PolicyFault(
      `${quote(text)} may be an address, or port ${port} of another`,
      `write [${address}]:${anyProtocol}${port} for the port, or [${text}] for the address`,
    );
  }
  if (parseCidr(text) !== null || text.includes("://")) return [text];
  const [target = "", ...rest] = text.split(":");
  if (rest.length > 2) {
    throw new PolicyFault(
      `${quote(text)} has too many parts`,
      "put brackets around an IPv6 address that something follows: [2001:db8::1]:tcp:443",
    );
  }
  return [target, ...rest];
}

function isAction(word: string): word is Action {
  return word === "allow" || word === "deny";
}

function isProtocols(text: string): boolean {
  return text.split(",").every((word) => PROTOCOL_WORDS.includes(word.toLowerCase()));
}

/**
 * What a line of a journal is about.
 *
 * @module
 */
import { fieldOf, type JournalRecord } from "./format.ts";

/** Whether something was refused, left out or cut off. */
export function isRefusal(record: JournalRecord): boolean {
  switch (record.event) {
    case "denied":
    case "revoked":
    case "limit":
    case "suppressed":
    case "secret-violation":
      return true;
    case "dns":
      return fieldOf(record, "verdict") === "refused";
    case "request":
      return fieldOf(record, "reason") !== undefined;
    default:
      return false;
  }
}

/** Whom the line is about: a name where one is known, else an address; undefined for nobody. */
export function partyOf(record: JournalRecord): string | undefined {
  return fieldOf(record, NAMED.get(record.event) ?? "name") ?? addressOf(record);
}

/** Where a line names its party, if not in `name`. */
const NAMED: ReadonlyMap<string, "host" | "to"> = new Map([
  ["request", "host"],
  ["secret", "host"],
  ["secret-violation", "to"],
]);

/** The other side's address, without its port. */
export function addressOf(record: JournalRecord): string | undefined {
  const inbound = fieldOf(record, "direction") === "inbound";
  const endpoint = fieldOf(record, inbound ? "source" : "destination");
  return endpoint === undefined ? undefined : withoutPort(endpoint);
}

function withoutPort(endpoint: string): string {
  if (endpoint.startsWith("[")) return endpoint.slice(1, Math.max(1, endpoint.indexOf("]")));
  const colon = endpoint.indexOf(":");
  return colon < 0 || endpoint.includes(":", colon + 1) ? endpoint : endpoint.slice(0, colon);
}

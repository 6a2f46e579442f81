/**
 * The hosts file of this machine (hosts(5)): an address, then the names that have it, line by line.
 *
 * What speaks of this machine itself is left out: loopback addresses (also as what people write
 * before names that they want blocked), multicast, and the lines of the machine's own name. In the
 * guest all of these would be somebody else. Lines that cannot be read are passed over, as C
 * libraries do; the work is linear in the text.
 *
 * @module
 */
import { type Address, parseAddress } from "../base/address.ts";
import { canonicalName } from "../base/name.ts";
import { inGroup, isUnroutable } from "../policy/model/groups.ts";
import { isLocalhost } from "./local_names.ts";

/** A name with an address that somebody wrote down for it. */
export interface HostEntry {
  /** Canonical. */
  readonly name: string;
  readonly address: Address;
}

/** What is longer is no line of a hosts file. */
const MAX_LINE = 4096;

/** `own`: this machine's name, in any spelling. */
export function parseHostsFile(text: string, own: string): HostEntry[] {
  const ownName = firstLabel(canonicalName(own) ?? "");
  const entries: HostEntry[] = [];
  for (let start = 0; start < text.length;) {
    let end = text.indexOf("\n", start);
    if (end < 0) end = text.length;
    if (end - start <= MAX_LINE) entries.push(...parseLine(text.slice(start, end), ownName));
    start = end + 1;
  }
  return entries;
}

function parseLine(line: string, own: string): HostEntry[] {
  const comment = line.indexOf("#");
  const words = (comment < 0 ? line : line.slice(0, comment)).split(/[ \t\r\v\f]+/);
  const [first = "", ...rest] = words[0] === "" ? words.slice(1) : words;
  const address = parseAddress(first);
  if (address === null || first.includes("%") || isThisMachine(address)) return [];
  const names = rest.map(canonicalName).filter((name) => name !== null);
  if (own !== "" && names.some((name) => firstLabel(name) === own)) return [];
  return names.filter((name) => !isLocalhost(name)).map((name) => ({ name, address }));
}

function isThisMachine(address: Address): boolean {
  return inGroup("loopback", address) || inGroup("multicast", address) || isUnroutable(address);
}

function firstLabel(name: string): string {
  const dot = name.indexOf(".");
  return dot < 0 ? name : name.slice(0, dot);
}

/**
 * The resolver's configuration (resolv.conf(5)): whom to ask, and what to append to bare names. The
 * work is linear in the text.
 *
 * @module
 */
import { parseAddress } from "../base/address.ts";
import { canonicalName } from "../base/name.ts";

export interface ResolverConfiguration {
  /** Addresses, in order; a zone is kept. */
  readonly nameservers: readonly string[];
  /** Domains in the order in which they are tried; canonical. */
  readonly search: readonly string[];
}

/** As many as C libraries have always taken; each costs a question for a name that does not exist. */
const MAX_SEARCH = 6;

/** What a line says starts with a keyword in its first column; others are passed over. */
export function parseResolvConf(text: string): ResolverConfiguration {
  const nameservers: string[] = [];
  let search: string[] = [];
  for (const line of text.split("\n")) {
    const words = line.split(/[ \t\r]+/);
    const [keyword, first = "", ...more] = words[0] === "" ? words.slice(1) : words;
    if (keyword === "nameserver") {
      if (parseAddress(first) !== null) nameservers.push(first);
    } // The last of `search` and `domain` counts.
    else if (keyword === "search") search = domains([first, ...more]);
    else if (keyword === "domain") search = domains([first]);
  }
  return { nameservers, search };
}

/** `.`, which means none, is no name. */
function domains(words: readonly string[]): string[] {
  return words.map(canonicalName).filter((name) => name !== null).slice(0, MAX_SEARCH);
}

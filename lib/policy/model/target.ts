/**
 * The TARGET of a rule as text: `any`, an address, a block, a name, a suffix or a group.
 *
 * A mistyped group must not become a name that nothing ever matches, so a name of one label is
 * written with the root dot: `intranet.`
 *
 * @module
 */

import { type Cidr, commonBits, parseAddress, parseCidr } from "../../base/address.ts";
import { escapeText } from "../../base/escape.ts";
import { canonicalName, canonicalSuffix } from "../../base/name.ts";
import { nearest } from "../../base/nearest.ts";
import { PolicyFault, quote, unknownWord } from "../text/fault.ts";
import { GROUPS } from "./groups.ts";
import type { Destination } from "./policy.ts";

/** Reads a TARGET, without brackets around IPv6; throws a `PolicyFault`. */
export function readTarget(text: string): Destination {
  if (text === "any") return { kind: "any" };
  const group = GROUPS.find((known) => known === text.toLowerCase());
  if (group !== undefined) return { kind: "group", group };
  if (text.startsWith("*.") || text.startsWith(".")) return readSuffix(text);
  if (parseCidr(text) !== null) return readCidr(text);
  if (/[/:]/.test(text) || /^[0-9.]+$/.test(text)) throw notAnAddress(text);
  if (text === "*") throw new PolicyFault('"*" is no target', "write any");
  if (!text.includes(".")) throw loneWord(text);
  return readDomain(text);
}

export function readCidr(text: string): Destination {
  const block = parseCidr(text);
  if (block === null) throw notAnAddress(text);
  refuseHostBits(text, block);
  return { kind: "cidr", cidr: block.text };
}

/** Whoever writes 10.0.0.1/8 means the one address or the whole block, and these are worlds apart. */
function refuseHostBits(text: string, block: Cidr): void {
  const [base = "", length] = text.split("/");
  const address = parseAddress(base);
  if (length === undefined || address === null) return;
  if (commonBits(address.bytes, block.bytes) === address.bytes.length * 8) return;
  throw new PolicyFault(
    `${quote(text)} is an address with the length of a block around it`,
    `write ${address.text}/${address.bytes.length * 8} for the one address, ` +
      `or ${block.text} for the block`,
  );
}

/**
 * The address and port that an IPv6 address without brackets may be meant as: 2001:db8::1:443 is an
 * address of its own. Null where no such reading exists.
 */
export function readAsEndpoint(text: string): { address: string; port: string } | null {
  const [, base = "", port = ""] = /^([0-9a-f:.]+):([1-9][0-9]{0,3})$/i.exec(text) ?? [];
  const isWhole = text.includes(":") && parseAddress(text) !== null;
  const address = isWhole && base.includes(":") ? parseAddress(base) : null;
  return address === null ? null : { address: address.text, port };
}

export function readDomain(text: string): Destination {
  return { kind: "domain", name: readName(text) };
}

export function readSuffix(text: string): Destination {
  return { kind: "suffix", suffix: readSuffixName(text) };
}

export function readGroup(text: string): Destination {
  const group = GROUPS.find((known) => known === text.toLowerCase());
  if (group === undefined) throw unknownWord("group", text, GROUPS);
  return { kind: "group", group };
}

/** A canonical name. */
export function readName(text: string): string {
  const name = canonicalName(text);
  if (name !== null) return name;
  if (text.includes("*")) {
    throw new PolicyFault(
      `${quote(text)} is no domain name`,
      "a star stands only in front of a suffix, for everything below it: *.example.com",
    );
  }
  if (parseCidr(text) !== null) {
    throw new PolicyFault(`${quote(text)} is an address, not a domain name`, "use cidr");
  }
  throw asUrl(text) ?? new PolicyFault(
    `${quote(text)} is no domain name`,
    "write it like api.example.com, without a scheme, port or path",
  );
}

/** A canonical suffix, without its leading dot. */
export function readSuffixName(text: string): string {
  const suffix = canonicalSuffix(text);
  if (suffix !== null) return suffix;
  const bare = canonicalName(text.replace(/^(?:\*\.|\.)/, ""));
  throw new PolicyFault(
    bare === null
      ? `${quote(text)} is no domain suffix`
      : `the suffix ${quote(text)} takes in a whole top-level domain`,
    "name at least two labels, like .example.com",
  );
}

/** The text that {@link readTarget} reads back to the same value. */
export function formatTarget(destination: Destination): string {
  switch (destination.kind) {
    case "any":
      return "any";
    case "group":
      return destination.group;
    case "suffix":
      return `.${destination.suffix}`;
    case "domain":
      return destination.name.includes(".") ? destination.name : `${destination.name}.`;
    case "cidr":
      return spellBlock(destination.cidr);
  }
}

/** A block of one address is spelt as the address. */
function spellBlock(cidr: string): string {
  const whole = cidr.includes(":") ? "/128" : "/32";
  return cidr.endsWith(whole) ? cidr.slice(0, -whole.length) : cidr;
}

function notAnAddress(text: string): PolicyFault {
  return asUrl(text) ?? new PolicyFault(
    `${quote(text)} is no address or block`,
    "write it in full, like 10.0.0.5, 10.0.0.0/8 or 2001:db8::/32",
  );
}

/** What was copied out of a browser, or is a host with a path behind it; null for anything else. */
function asUrl(text: string): PolicyFault | null {
  const [, scheme, host = "", path = ""] =
    /^([a-z][a-z0-9+.-]*:\/\/)?([^/:@?#\s]+)(?::[0-9]+)?([/?#].*)?$/i.exec(text) ?? [];
  const isPath = path !== "" && host.includes(".") && !/^[0-9.]+$/.test(host) &&
    canonicalName(host) !== null;
  if (scheme === undefined && !isPath) return null;
  const only = `name only the host: ${escapeText(host)}`;
  return new PolicyFault(
    scheme === undefined ? `${quote(text)} has a path` : `${quote(text)} is a URL`,
    path === "" || path === "/"
      ? only
      : `rules see hosts, and nothing of what is asked of them; ${only}`,
  );
}

function loneWord(text: string): PolicyFault {
  // myhost is a name far more likely than this machine, which the group would open.
  const close = nearest(text, [...GROUPS, "any"], 1);
  if (close !== null) {
    return new PolicyFault(`unknown group ${quote(text)}`, `did you mean ${close}?`);
  }
  if (canonicalName(text) === null) return new PolicyFault(`${quote(text)} is no target`);
  return new PolicyFault(
    `${quote(text)} is neither a group nor a name with a dot`,
    `use one of any, ${GROUPS.join(", ")}; for a name of one label write ${text}.`,
  );
}

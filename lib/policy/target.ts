/**
 * The TARGET of a rule as text: `any`, an address, a block, a name, a suffix or a group.
 *
 * A mistyped group must not become a name that nothing ever matches, so a name of one label is
 * written with the root dot: `intranet.`
 *
 * @module
 */

import { parseCidr } from "../base/address.ts";
import { canonicalName, canonicalSuffix } from "../base/name.ts";
import { nearest } from "../base/nearest.ts";
import { PolicyFault, quote, unknownWord } from "./fault.ts";
import { GROUPS } from "./groups.ts";
import type { Destination } from "./policy.ts";

/** Reads a TARGET, without brackets around IPv6; throws a `PolicyFault`. */
export function readTarget(text: string): Destination {
  if (text === "any") return { kind: "any" };
  const group = GROUPS.find((known) => known === text.toLowerCase());
  if (group !== undefined) return { kind: "group", group };
  if (text.startsWith("*.") || text.startsWith(".")) return readSuffix(text);
  const block = parseCidr(text);
  if (block !== null) return { kind: "cidr", cidr: block.text };
  if (/[/:]/.test(text) || /^[0-9.]+$/.test(text)) throw notAnAddress(text);
  if (text === "*") throw new PolicyFault('"*" is no target', "write any");
  if (!text.includes(".")) throw loneWord(text);
  return readDomain(text);
}

export function readCidr(text: string): Destination {
  const block = parseCidr(text);
  if (block === null) throw notAnAddress(text);
  return { kind: "cidr", cidr: block.text };
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
  throw new PolicyFault(
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
      return destination.cidr.replace(/^([0-9.]+)\/32$|^(.+:.*)\/128$/, "$1$2");
  }
}

function notAnAddress(text: string): PolicyFault {
  const url = /^[a-z][a-z0-9+.-]*:\/\/([^/:@?#]+)/i.exec(text);
  if (url !== null) {
    return new PolicyFault(`${quote(text)} is a URL`, `name only the host: ${url[1] ?? ""}`);
  }
  return new PolicyFault(
    `${quote(text)} is no address or block`,
    "write it in full, like 10.0.0.5, 10.0.0.0/8 or 2001:db8::/32",
  );
}

function loneWord(text: string): PolicyFault {
  const close = nearest(text, [...GROUPS, "any"]);
  if (close !== null) {
    return new PolicyFault(`unknown group ${quote(text)}`, `did you mean ${close}?`);
  }
  if (canonicalName(text) === null) return new PolicyFault(`${quote(text)} is no target`);
  return new PolicyFault(
    `${quote(text)} is neither a group nor a name with a dot`,
    `use one of any, ${GROUPS.join(", ")}; for a name of one label write ${text}.`,
  );
}

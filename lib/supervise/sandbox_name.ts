/**
 * Names of sandboxes. Pure.
 *
 * A name is a directory's and a word of the shell, so it has no slash, no blank, and no dot or hyphen in
 * front.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { quote } from "../base/escape.ts";

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;

/** What a name is, for who gave something else. */
export const NAME_HINT =
  "use up to 63 letters, digits, dots, hyphens and underscores, a letter or digit first";

export function isSandboxName(name: string): boolean {
  return NAME.test(name);
}

/** The name. @throws SbxError USAGE for what can be none */
export function requireName(name: string): string {
  if (isSandboxName(name)) return name;
  throw new SbxError("USAGE", `Cannot use ${quote(name)}: not the name of a sandbox`, {
    hint: NAME_HINT,
  });
}

/** A snapshot's tag, which has the form of a name. @throws SbxError USAGE */
export function requireTag(tag: string): string {
  if (isSandboxName(tag)) return tag;
  throw new SbxError("USAGE", `Cannot use ${quote(tag)}: not the tag of a snapshot`, {
    hint: NAME_HINT,
  });
}

/** What a guest of that name calls itself when nobody says otherwise: a host name of one label. */
export function hostnameOf(name: string): string {
  return name.replace(/[^a-zA-Z0-9]+/g, "-").replace(/-$/, "");
}

const MANNERS = [
  "bold",
  "brisk",
  "calm",
  "clear",
  "deft",
  "eager",
  "fair",
  "fond",
  "glad",
  "keen",
  "kind",
  "lucid",
  "merry",
  "neat",
  "proud",
  "quick",
  "quiet",
  "sharp",
  "sober",
  "stout",
  "swift",
  "tidy",
  "vivid",
  "wise",
];

const ANIMALS = [
  "adder",
  "bison",
  "crane",
  "dingo",
  "egret",
  "finch",
  "gecko",
  "heron",
  "ibis",
  "jackal",
  "koala",
  "lemur",
  "marten",
  "newt",
  "otter",
  "panda",
  "quail",
  "raven",
  "stoat",
  "tapir",
  "urchin",
  "viper",
  "walrus",
  "zebra",
];

/** A name that is not taken; `random` gives numbers from 0 up to 1. */
export function inventName(taken: ReadonlySet<string>, random: () => number): string {
  const one = (words: readonly string[]) => words[Math.floor(random() * words.length)] ?? words[0];
  const name = `${one(MANNERS)}-${one(ANIMALS)}`;
  if (!taken.has(name)) return name;
  for (let number = 2;; number++) {
    if (!taken.has(`${name}-${number}`)) return `${name}-${number}`;
  }
}

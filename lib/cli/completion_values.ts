/**
 * What values of options and arguments can be, by the word that stands for them in the help.
 *
 * @module
 */
import type { Argument, Option } from "commander";
import { readdirSync } from "node:fs";
import { isShowable } from "../base/escape.ts";
import { sandboxNamesHere, snapshotTagsHere } from "../api/sandbox_names.ts";
import { NetworkPolicy } from "../mod.ts";

/** A word, and what it means where that is known. */
export interface Candidate {
  readonly word: string;
  readonly meaning?: string;
}

/** Names that the shell itself knows best, which fit as well. */
export type Place = "nothing" | "files" | "directories" | "commands";

export interface Completion {
  readonly candidates: readonly Candidate[];
  readonly place: Place;
}

type Values = (begun: string) => Completion;

const nothing: Values = () => ({ candidates: [], place: "nothing" });
const files: Values = () => ({ candidates: [], place: "files" });
const directories: Values = () => ({ candidates: [], place: "directories" });

/** Presets, and the policy files of the directory that is begun, which the shell leads further. */
const policies: Values = (begun) => ({
  candidates: [...NetworkPolicy.presetNames.map((word) => ({ word })), ...policyFiles(begun)],
  place: "directories",
});

function oneOf(...words: readonly string[]): Values {
  return () => ({ candidates: words.map((word) => ({ word })), place: "nothing" });
}

const sandboxes: Values = () => ({
  candidates: sandboxNamesHere().map((word) => ({ word, meaning: "sandbox" })),
  place: "nothing",
});

const snapshots: Values = () => ({
  candidates: snapshotTagsHere().map((word) => ({ word, meaning: "snapshot" })),
  place: "nothing",
});

/** By option, where the word for its value says too little. */
const OF_OPTIONS: Readonly<Record<string, Values>> = {
  "--deny-with": oneOf("drop", "reject"),
  "--root": directories,
  "--on-secret-violation": oneOf("block", "block-and-log", "block-and-terminate"),
};

/** By the word, as it stands between brackets. */
const OF_WORDS: Readonly<Record<string, Values>> = {
  "file": files,
  "host:guest[:ro]": directories,
  "name|file": policies,
  "policy": policies,
  "policy|reason": policies,
  "sandbox": sandboxes,
  "snapshot": snapshots,
};

export function optionValues(option: Option, begun: string): Completion {
  const word = option.flags.slice(option.flags.indexOf("<") + 1, -1);
  const choices = option.argChoices === undefined ? undefined : oneOf(...option.argChoices);
  return (choices ?? OF_OPTIONS[option.long ?? ""] ?? OF_WORDS[word] ?? nothing)(begun);
}

export function operandValues(argument: Argument, begun: string): Completion {
  const choices = argument.argChoices === undefined ? undefined : oneOf(...argument.argChoices);
  return (choices ?? OF_WORDS[argument.name()] ?? nothing)(begun);
}

/** Nobody chooses among more. */
const MOST_FILES = 200;

/** Names that a terminal would obey are left out: a guest may have made the file. */
function policyFiles(begun: string): readonly Candidate[] {
  const directory = begun.slice(0, begun.lastIndexOf("/") + 1);
  try {
    return readdirSync(directory === "" ? "." : directory)
      .filter((name) => /\.(?:ya?ml|jsonc?)$/.test(name) && isShowable(name))
      .filter((name) => !/[\n\t]/.test(name))
      .slice(0, MOST_FILES)
      .map((name) => ({ word: directory + name, meaning: "policy file" }));
  } catch {
    return [];
  }
}

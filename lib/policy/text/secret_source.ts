/**
 * Where a value is read, as text: `env:VARIABLE`, `file:PATH`, `cmd:COMMAND`, `keychain:SERVICE`.
 *
 * What stands there may be a value that somebody wrote in the wrong place, so no complaint repeats it.
 *
 * @module
 */

import { nearest } from "../../base/nearest.ts";
import { PolicyFault } from "./fault.ts";
import type { Source, SourceKind } from "../model/secret.ts";

const KINDS: readonly SourceKind[] = ["env", "file", "cmd", "keychain"];

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/** Whether a text can be the name of an environment variable, in every shell. */
export function isVariable(text: string): boolean {
  return VARIABLE.test(text);
}

/** Throws a `PolicyFault`. */
export function readSource(text: string): Source {
  const colon = text.indexOf(":");
  const word = text.slice(0, Math.max(0, colon));
  const kind = KINDS.find((one) => one === word);
  if (kind === undefined) throw inlineValue(word);
  const rest = text.slice(colon + 1);
  if (rest === "") throw new PolicyFault(`${kind}: names nothing`, HINTS[kind]);
  if (rest.includes("\0")) throw new PolicyFault(`what ${kind}: names has a NUL in it`);
  switch (kind) {
    case "env":
      if (!isVariable(rest)) {
        throw new PolicyFault("what env: names is no environment variable", HINTS.env);
      }
      return { kind, variable: rest };
    case "file":
      return { kind, path: rest };
    case "cmd":
      return { kind, command: rest };
    case "keychain":
      return { kind, service: rest };
  }
}

const HINTS: Readonly<Record<SourceKind, string>> = {
  env: "write it like env:GITHUB_TOKEN",
  file: "write it like file:/run/secrets/token",
  cmd: "write it like 'cmd:gh auth token'",
  keychain: "write it like keychain:github.com",
};

/** Arguments are in everybody's list of processes, and in the history of the shell. */
function inlineValue(word: string): PolicyFault {
  const close = word === "" ? null : nearest(word, KINDS);
  return new PolicyFault(
    "what stands behind the equals sign does not say where the value is read, and values are not " +
      "taken there",
    close === null
      ? "export the value and name only the variable, or use env:, file:, cmd: or keychain:"
      : `did you mean ${close}:?`,
  );
}

/** The text that {@link readSource} reads back, but for what is the program's own. */
export function formatSource(source: Source): string {
  switch (source.kind) {
    case "env":
      return `env:${source.variable}`;
    case "file":
      return `file:${source.path}`;
    case "cmd":
      return `cmd:${source.command}`;
    case "keychain":
      return `keychain:${source.service}`;
    case "program":
      return "program";
  }
}

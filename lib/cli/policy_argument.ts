/**
 * The argument that names a policy: a preset, or a file.
 *
 * @module
 */
import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join, parse } from "node:path";
import { escapeText, quote } from "../base/escape.ts";
import { nearest } from "../base/nearest.ts";
import { NetworkPolicy, type Policy, type PolicyFile, SbxError } from "../mod.ts";
import { presetNamed } from "../policy/model/presets.ts";
import { plainPolicyFile } from "../policy/model/settings.ts";

/**
 * A word that is no preset is a file when it looks like a path or exists; otherwise it is a preset
 * mistyped, which must not read as "no such file".
 */
export async function resolvePolicy(text: string): Promise<Policy | PolicyFile> {
  const preset = presetNamed(text);
  if (preset !== null) return preset;
  if (/[/.]/.test(text) || existsSync(text)) return await readPolicyFile(text);
  const names = NetworkPolicy.presetNames;
  const near = nearest(text, names);
  throw new SbxError(
    "USAGE",
    `Cannot use policy ${quote(text)}: neither a preset nor a file`,
    {
      hint: near === null ? `the presets are ${names.join(", ")}` : `did you mean ${near}?`,
    },
  );
}

async function readPolicyFile(path: string): Promise<PolicyFile> {
  const near = existsSync(path) ? null : besides(path);
  if (near === null) return await NetworkPolicy.fromFile(path);
  throw new SbxError("FILE_UNREADABLE", `Cannot read policy ${escapeText(path)}: no such file`, {
    hint: `did you mean ${escapeText(near)}?`,
  });
}

/** The policy file that was meant by a path that there is not: `build.yaml` by `build.yml`. */
function besides(path: string): string | null {
  const directory = dirname(path);
  let names: readonly string[];
  try {
    names = readdirSync(directory).filter((name) => /\.(?:ya?ml|jsonc?)$/.test(name));
  } catch {
    return null;
  }
  const { name } = parse(path);
  const same = names.find((other) => parse(other).name === name);
  const found = same ?? nearest(basename(path), names, 2);
  return found === null ? null : join(directory, found);
}

/** The policy file that the argument stands for; a preset has the default DNS settings. */
export async function resolvePolicyFile(text: string): Promise<PolicyFile> {
  const policy = await resolvePolicy(text);
  return "policy" in policy ? policy : plainPolicyFile(policy);
}

/**
 * The argument that names a policy: a preset, or a file.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { nearest } from "../base/nearest.ts";
import { plainPolicyFile } from "../policy/settings.ts";
import { NetworkPolicy, type Policy, type PolicyFile, SbxError } from "../mod.ts";

/**
 * A word that is no preset is a file when it looks like a path or exists; otherwise it is a preset
 * mistyped, which must not read as "no such file".
 */
export async function resolvePolicy(text: string): Promise<Policy | PolicyFile> {
  const preset = NetworkPolicy.preset(text);
  if (preset !== null) return preset;
  if (/[/.]/.test(text) || existsSync(text)) return await NetworkPolicy.fromFile(text);
  const names = NetworkPolicy.presetNames;
  const near = nearest(text, names);
  throw new SbxError(
    "USAGE",
    `Cannot use policy ${JSON.stringify(text)}: neither a preset nor a file`,
    {
      hint: near === null ? `the presets are ${names.join(", ")}` : `did you mean ${near}?`,
    },
  );
}

/** The policy file that the argument stands for; a preset has the default DNS settings. */
export async function resolvePolicyFile(text: string): Promise<PolicyFile> {
  const policy = await resolvePolicy(text);
  return "policy" in policy ? policy : plainPolicyFile(policy);
}

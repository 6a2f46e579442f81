/**
 * The word about rules on the command line that allow what is open already.
 *
 * @module
 */
import { snapshotHere } from "../api/snapshot.ts";
import { escapeText } from "../base/escape.ts";
import { uselessAllows } from "../judge/useless_allows.ts";
import type { NetworkOptions } from "../mod.ts";
import { presetNamed } from "../policy/model/presets.ts";
import type { RuleFlag, RunFlags } from "./run_flags.ts";

/** Each is played through on its own; whoever writes more of them has a list of some kind. */
const MOST_RULES = 16;

const MOST_NAMED = 3;

/**
 * What to tell of them; undefined when there are none. `network` begins with the rules of the flags.
 *
 * @throws SbxError for lists of names that cannot be read
 */
export async function uselessAllowLine(
  network: NetworkOptions,
  { rules, policy = "public-only" }: Pick<RunFlags, "rules" | "policy">,
): Promise<string | undefined> {
  const isAllowed = network.policy.defaults.outbound === "allow";
  if (!isAllowed || rules.length > MOST_RULES || !rules.some(({ form }) => form !== "deny")) {
    return undefined;
  }
  const useless = uselessAllows(await snapshotHere(network), rules.length)
    .flatMap((index) => rules[index] ?? []);
  if (useless.length === 0) return undefined;
  const named = useless.slice(0, MOST_NAMED).map(optionText);
  const more = useless.length - named.length;
  const options = named.join(", ") + (more > 0 ? ` and ${more} more` : "");
  const isPreset = presetNamed(policy) !== null;
  const instead = isPreset ? "use --policy none" : `write default: deny in ${escapeText(policy)}`;
  return `${options} ${useless.length === 1 ? "changes" : "change"} nothing: ` +
    `${escapeText(policy)} lets that pass already; for an allow list ${instead}`;
}

function optionText({ form, text }: RuleFlag): string {
  return `--${form} ${escapeText(text)}`;
}

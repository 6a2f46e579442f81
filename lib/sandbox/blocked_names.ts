/**
 * The names that a sandbox's DNS settings block, with the lists they point to.
 *
 * @module
 */
import { inSentence, SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { readTextFile } from "../base/text_file.ts";
import { readNameList } from "../policy/model/name_list.ts";
import { NameSet } from "../policy/model/name_set.ts";
import type { BlockList, DnsSettings } from "../policy/model/settings.ts";

/** @throws SbxError FILE_UNREADABLE, or POLICY_INVALID with file and line */
export async function readBlockedNames(dns: DnsSettings): Promise<NameSet> {
  const set = new NameSet();
  for (const name of dns.block) set.addName(name);
  for (const suffix of dns.blockSuffix) set.addSuffix(suffix);
  for (const list of dns.blockLists) readNameList(await textOf(list), list.path, list.as, set);
  return set;
}

/** That a list cannot be read is told where the policy names it, which is where that is mended. */
async function textOf({ path, place }: BlockList): Promise<string> {
  try {
    return await readTextFile("read name list", path);
  } catch (error) {
    if (!(error instanceof SbxError) || place === undefined) throw error;
    const message = `Cannot load policy ${escapeText(place)}: ${inSentence(error)}`;
    throw new SbxError(error.code, message, {
      cause: error,
      hint: "lists are found from the directory that the policy file is in",
    });
  }
}

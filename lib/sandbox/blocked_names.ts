/**
 * The names that a sandbox's DNS settings block, with the lists they point to.
 *
 * @module
 */
import { readTextFile } from "../base/text_file.ts";
import { readNameList } from "../policy/model/name_list.ts";
import { NameSet } from "../policy/model/name_set.ts";
import type { DnsSettings } from "../policy/model/settings.ts";

/** @throws SbxError FILE_UNREADABLE, or POLICY_INVALID with file and line */
export async function readBlockedNames(dns: DnsSettings): Promise<NameSet> {
  const set = new NameSet();
  for (const name of dns.block) set.addName(name);
  for (const suffix of dns.blockSuffix) set.addSuffix(suffix);
  for (const { path, as } of dns.blockLists) {
    readNameList(await readTextFile("read name list", path), path, as, set);
  }
  return set;
}

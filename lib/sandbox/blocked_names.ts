/**
 * The names that a sandbox's DNS settings block, with the lists they point to.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { fileError } from "../base/file_error.ts";
import { readNameList } from "../policy/name_list.ts";
import { NameSet } from "../policy/name_set.ts";
import type { DnsSettings } from "../policy/settings.ts";

/** @throws SbxError FILE_UNREADABLE, or POLICY_INVALID with file and line */
export async function readBlockedNames(dns: DnsSettings): Promise<NameSet> {
  const set = new NameSet();
  for (const name of dns.block) set.addName(name);
  for (const suffix of dns.blockSuffix) set.addSuffix(suffix);
  for (const { path, as } of dns.blockLists) {
    const text = await readFile(path, "utf8").catch((cause) => {
      throw fileError("read name list", path, cause);
    });
    readNameList(text, path, as, set);
  }
  return set;
}

/**
 * The yaml of an instance that one of Lima's own drivers runs: what Lima's driver `sbx` changes of an instance in
 * passing is written there.
 *
 * @module
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseDocument } from "yaml";
import { fileError } from "../../base/file_error.ts";

/** What is changed of an instance; all else stays as it was written. */
const KEYS = ["dns", "hostResolver", "propagateProxyEnv", "caCerts", "provision"] as const;

/**
 * `config`: as it is to be.
 *
 * @throws SbxError FILE_UNREADABLE
 */
export async function configureYaml(
  instance: string,
  config: Readonly<Record<string, unknown>>,
): Promise<void> {
  const path = join(instance, "lima.yaml");
  try {
    const document = parseDocument(await readFile(path, "utf8"));
    for (const key of KEYS) if (config[key] !== undefined) document.set(key, config[key]);
    await writeFile(path, document.toString());
  } catch (cause) {
    throw fileError("configure Lima's instance in", path, cause);
  }
}

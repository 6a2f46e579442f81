/**
 * lima.yaml of an instance, as its user may have written it: edited, and never half there.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileError } from "../../base/file_error.ts";
import { writePrivate } from "../../base/private_file.ts";
import type { Told } from "../../guest/lima/configure.ts";
import { configuredYaml } from "../../guest/lima/own_yaml.ts";

/** `directory`: the instance's. @throws SbxError FILE_UNREADABLE, LIMA_INSTANCE */
export async function configureOwnYaml(directory: string, told: Told): Promise<void> {
  const path = join(directory, "lima.yaml");
  const text = await readFile(path, "utf8").catch((cause) => {
    throw fileError("read the instance's configuration", path, cause);
  });
  const configured = configuredYaml(text, told, path);
  if (configured === text) return;
  const otherwise = "make the instance anew";
  await writePrivate(
    { path, what: "the instance's configuration", code: "LIMA_INSTANCE", otherwise },
    configured,
    true,
  );
}

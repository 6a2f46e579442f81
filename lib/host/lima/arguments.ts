/**
 * What `sbx lima start` was given for an instance, kept in the instance's directory: Lima's driver starts
 * guests later, and from somewhere else. It is JSON by the name of a yaml, since `limactl factory-reset` leaves
 * nothing else of an instance: without it the guest would have the default policy.
 *
 * @module
 */
import { z } from "zod";
import { type PrivateFile, writePrivate } from "../../base/private_file.ts";
import { instanceFile, readInstanceFile } from "./instance_file.ts";

const SHAPE = z.strictObject({ directory: z.string(), argv: z.array(z.string()) });

export interface LimaArguments {
  /** That relative paths are relative to. */
  readonly directory: string;
  /** Options of `sbx run` about the network. */
  readonly argv: readonly string[];
}

/** @throws SbxError FILE_UNREADABLE */
export async function keepLimaArguments(instance: string, kept: LimaArguments): Promise<void> {
  await writePrivate(fileOf(instance), `${JSON.stringify(kept)}\n`, true);
}

/**
 * Undefined: none were given.
 *
 * @throws SbxError FILE_UNREADABLE, LIMA_INSTANCE when somebody else could have changed them
 */
export async function keptLimaArguments(instance: string): Promise<LimaArguments | undefined> {
  return await readInstanceFile(fileOf(instance), SHAPE);
}

function fileOf(instance: string): PrivateFile {
  return instanceFile(instance, "sbx.yaml", {
    what: "the options of the guest",
    otherwise: "remove it, and give `sbx lima start` its options again",
  });
}

/**
 * What `sbx lima start` was given for an instance, kept in the instance's directory: Lima's driver starts
 * guests later, and from somewhere else. It is JSON by the name of a yaml, since `limactl factory-reset` leaves
 * nothing else of an instance: without it the guest would have the default policy.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import { type PrivateFile, readPrivate, writePrivate } from "../../base/private_file.ts";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";

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
  const file = fileOf(instance);
  const text = await readPrivate(file);
  if (text === null) return undefined;
  try {
    return SHAPE.parse(JSON.parse(text));
  } catch (cause) {
    throw new SbxError(
      "LIMA_INSTANCE",
      `Cannot use ${escapeText(file.path)}: it is not what sbx wrote`,
      { hint: "remove it, and give `sbx lima start` its options again", cause },
    );
  }
}

function fileOf(instance: string): PrivateFile {
  return {
    path: join(instance, "sbx.yaml"),
    what: "the options of the guest",
    code: "LIMA_INSTANCE",
    otherwise: "remove it, and give `sbx lima start` its options again",
    sheltered: true,
  };
}

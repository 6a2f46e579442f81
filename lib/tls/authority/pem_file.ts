/**
 * The PEM files that a user names.
 *
 * @module
 */

import { readTextFile } from "../../base/text_file.ts";
import { certificatesIn, type PemFile } from "./pem.ts";

/** `what` is in it, for the error. @throws SbxError FILE_UNREADABLE */
export async function readPem(what: "certificate" | "key", path: string): Promise<PemFile> {
  return { path, text: await readTextFile(`read ${what}`, path) };
}

/**
 * The certificates of every file, one PEM text each.
 *
 * @throws SbxError TLS_INVALID, FILE_UNREADABLE
 */
export async function readCertificateFiles(paths: readonly string[]): Promise<readonly string[]> {
  const files = await Promise.all(paths.map((path) => readPem("certificate", path)));
  return files.flatMap(certificatesIn);
}

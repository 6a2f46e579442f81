/**
 * The PEM files that a user names.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { fileError } from "../base/file_error.ts";
import { certificatesIn, type PemFile } from "./authority_pem.ts";

/** `what` is in it, for the error. @throws SbxError FILE_UNREADABLE */
export async function readPem(what: "certificate" | "key", path: string): Promise<PemFile> {
  const text = await readFile(path, "utf8").catch((cause) => {
    throw fileError(`read ${what}`, path, cause);
  });
  return { path, text };
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

/**
 * The values that `sbx secret` keeps for the user, in the keychain where there is one, else in private
 * files. Of each there is a private file either way, which says where the value is and since when.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { readdir, rmdir, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { inSentence, SbxError } from "../base/errors.ts";
import { fileError, systemCode } from "../base/file_error.ts";
import { type PrivateFile, readPrivate, writePrivate } from "../base/private_file.ts";
import { findKeychain, type Keychain, keychainProgram } from "./keychain.ts";
import { dataDir } from "./paths.ts";

/** Where a value is kept: by the keychain of this machine, or in a private file. */
export type KeptIn = "keychain" | "file";

/** What may be known of a kept value: all but itself. */
export interface StoredSecret {
  /** What `keychain:NAME` calls it. */
  readonly name: string;
  /** Where it is. */
  readonly keptIn: KeptIn;
  /** When it was set. */
  readonly since: Date;
  /** The private file: the value is in it, or that it is in the keychain. */
  readonly path: string;
}

/** Names that are a file's as well; variables are among them. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._@-]{0,127}$/;

const ENDING = ".json";

export function isStoredName(name: string): boolean {
  return NAME.test(name) && !name.endsWith(ENDING);
}

export function storeDirectory(): string {
  return join(dataDir(), "secrets");
}

function fileOf(name: string): PrivateFile {
  return {
    path: join(storeDirectory(), name + ENDING),
    what: `secret ${name}`,
    code: "SECRET_UNAVAILABLE",
    otherwise: `get a new value, and keep it with 'sbx secret set ${name}'`,
  };
}

export function hasStored(name: string): boolean {
  return isStoredName(name) && existsSync(fileOf(name).path);
}

interface Entry {
  readonly name: string;
  readonly keptIn: KeptIn;
  readonly since: string;
  /** Where it is kept in the file. */
  readonly value?: string;
}

/**
 * Keeps a value, in the place of an earlier one of that name. Without a wish it goes where it can, and
 * `fallback` says why that is no keychain.
 *
 * @throws SbxError SECRET_UNAVAILABLE when the keychain was wished for and takes nothing, FILE_UNREADABLE
 */
export async function storeSecret(
  name: string,
  value: string,
  wish?: KeptIn,
): Promise<StoredSecret & { readonly fallback?: string }> {
  const file = fileOf(name);
  const before = await readEntry(name).catch(() => null); // setting it anew is what mends it
  const since = new Date();
  const keychain = wish === "file" ? null : await offered(name, value);
  if (wish === "keychain" && typeof keychain === "string") {
    throw new SbxError("SECRET_UNAVAILABLE", `Cannot keep ${name} in the keychain: ${keychain}`, {
      hint: "leave out --in, or give --in file",
    });
  }
  const keptIn = keychain === null || typeof keychain === "string" ? "file" : "keychain";
  const entry: Entry = {
    name,
    keptIn,
    since: since.toISOString(),
    ...(keptIn === "file" ? { value } : {}),
  };
  await writePrivate(file, `${JSON.stringify(entry)}\n`, true);
  if (keptIn === "file" && before?.keptIn === "keychain") await findKeychain()?.clear(name);
  const stored = { name, keptIn, since, path: file.path } as const;
  return typeof keychain === "string" ? { ...stored, fallback: keychain } : stored;
}

/** The keychain, which has the value now; or why it has not. */
async function offered(name: string, value: string): Promise<Keychain | string> {
  const keychain = findKeychain();
  if (keychain === null) return `${keychainProgram()} is not on the PATH`;
  try {
    await keychain.store(name, value);
    return keychain;
  } catch (error) {
    if (error instanceof SbxError) return error.state ?? inSentence(error);
    throw error;
  }
}

/** By name. @throws SbxError as for reading one of them */
export async function storedSecrets(): Promise<readonly StoredSecret[]> {
  const directory = storeDirectory();
  const files = await readdir(directory).catch((cause) => {
    if (systemCode(cause) === "ENOENT") return [];
    throw fileError("list the secrets in", directory, cause);
  });
  const names = files.filter((file) => file.endsWith(ENDING))
    .map((file) => file.slice(0, -ENDING.length)).filter(isStoredName).sort();
  const found = await Promise.all(names.map(readEntry));
  return found.flatMap((entry) =>
    entry === null ? [] : [{
      name: entry.name,
      keptIn: entry.keptIn,
      since: new Date(entry.since),
      path: fileOf(entry.name).path,
    }]
  );
}

/** Whether a file has a value; one that cannot be read may have. */
export async function keepsInFiles(): Promise<boolean> {
  if (!existsSync(storeDirectory())) return false;
  return await storedSecrets().then(
    (all) => all.some(({ keptIn }) => keptIn === "file"),
    () => true,
  );
}

/** False when there was none. @throws SbxError SECRET_UNAVAILABLE, FILE_UNREADABLE */
export async function removeStored(name: string): Promise<boolean> {
  const { path } = fileOf(name);
  const entry = await readEntry(name).catch((error) => {
    // What cannot be used can be removed.
    if (error instanceof SbxError && error.code === "SECRET_UNAVAILABLE") return undefined;
    throw error;
  });
  if (entry === null) return false;
  if (entry?.keptIn === "keychain") await presentKeychain(name).clear(name);
  try {
    await unlink(path);
    await rmdir(dirname(path)).catch(() => {}); // there are others
    return true;
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return false;
    throw fileError(`remove secret ${name}`, path, cause);
  }
}

/**
 * What `keychain:SERVICE` says: the value that sbx keeps under that name, else what the keychain has.
 *
 * @throws SbxError SECRET_UNAVAILABLE, FILE_UNREADABLE
 */
export async function readKept(
  name: string,
  service: string,
  { writable, signal }: { readonly writable: readonly string[]; readonly signal: AbortSignal },
): Promise<string> {
  const entry = isStoredName(service) ? await readEntry(service) : null;
  if (entry?.value !== undefined) return entry.value;
  const keychain = presentKeychain(name, writable, service);
  const value = await keychain.lookup(service, entry !== null, signal).catch((error) => {
    const state = error instanceof SbxError ? inSentence(error) : "the keychain failed";
    throw unavailable(name, state, service);
  });
  if (value === null) throw unavailable(name, "the keychain has none of that service", service);
  return value;
}

function presentKeychain(
  name: string,
  writable: readonly string[] = [],
  service = name,
): Keychain {
  const keychain = findKeychain(writable);
  if (keychain !== null) return keychain;
  throw unavailable(name, `${keychainProgram()} is not on the PATH`, service);
}

function unavailable(name: string, state: string, service: string): SbxError {
  return new SbxError("SECRET_UNAVAILABLE", `Cannot read secret ${name}: ${state}`, {
    hint: isStoredName(service)
      ? `keep the value with 'sbx secret set ${service}'`
      : "name a service that the keychain has, or another source",
  });
}

/** Null when there is none. */
async function readEntry(name: string): Promise<Entry | null> {
  const file = fileOf(name);
  const text = await readPrivate(file);
  if (text === null) return null;
  const entry = parseEntry(text);
  // A file system that does not tell capitals apart gives another one's.
  if (entry !== null && entry.name !== name) return null;
  if (entry !== null) return entry;
  throw new SbxError("SECRET_UNAVAILABLE", `Cannot use secret ${name}: ${file.path} is damaged`, {
    hint: `keep it again with 'sbx secret set ${name}'`,
  });
}

function parseEntry(text: string): Entry | null {
  try {
    const { name, keptIn, since, value } = JSON.parse(text) as Partial<
      Record<keyof Entry, unknown>
    >;
    if (typeof name !== "string" || typeof since !== "string") return null;
    if (Number.isNaN(Date.parse(since))) return null;
    if (keptIn === "keychain") return { name, keptIn, since };
    return keptIn === "file" && typeof value === "string" ? { name, keptIn, since, value } : null;
  } catch {
    return null;
  }
}

/**
 * Gives what is staged the name that it is for.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { type BigIntStats, constants, mkdirSync } from "node:fs"; // Deno's promise of mkdir takes no bytes for a path
import {
  copyFile,
  link,
  lstat,
  open,
  readlink,
  rename,
  rmdir,
  symlink,
  unlink,
} from "node:fs/promises";
import process from "node:process";
import { systemCode } from "../../base/file_error.ts";
import type { OpenDirectory } from "../../host/open_directory.ts";
import { nameOfStage } from "../../host/stage.ts";

/**
 * What came there meanwhile stays, and is EEXIST, which link(2) says before it says that it can give no second name.
 * Where it can give none, what comes between that and the rename is replaced. Answers with what got the name, as it
 * was before.
 */
export async function putWhereNothingIs(
  from: Buffer,
  directory: OpenDirectory,
  to: Buffer,
): Promise<BigIntStats> {
  const placed = await lstat(from, { bigint: true });
  if (placed.isSymbolicLink() && process.platform === "darwin") { // where link(2) follows it
    await symlink(await readlink(from, { encoding: "buffer" }), to);
    return await lstat(to, { bigint: true });
  }
  try {
    await link(from, to);
  } catch (error) {
    if (systemCode(error) === "EEXIST") throw error;
    return await putInPlace(from, directory, to);
  }
  await unlink(from);
  return placed;
}

/**
 * Gives a name to what is staged, and answers with what that was. Where the two are on different file systems, the
 * copy is whole before it gets its name as well.
 */
export async function putInPlace(
  from: Buffer,
  directory: OpenDirectory,
  to: Buffer,
): Promise<BigIntStats> {
  const staged = await lstat(from, { bigint: true });
  try {
    await rename(from, to);
    return staged;
  } catch (error) {
    if (systemCode(error) !== "EXDEV") throw error;
  }
  const beside = directory.at(nameOfStage(randomBytes(6).toString("hex")));
  try {
    if (staged.isSymbolicLink()) {
      await symlink(await readlink(from, { encoding: "buffer" }), beside);
    } else if (staged.isDirectory()) mkdirSync(beside, 0o700);
    else await copyFile(from, beside, constants.COPYFILE_EXCL);
    const copied = await lstat(beside, { bigint: true });
    await rename(beside, to);
    return copied;
  } catch (error) {
    await (staged.isDirectory() ? rmdir : unlink)(beside).catch(() => {});
    throw error;
  }
}

export async function setMode(at: Buffer, mode: number): Promise<void> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(at, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    await file.chmod(mode);
  } finally {
    await file.close();
  }
}

/**
 * From the guest to this machine. Where it goes is decided by what the caller said and what is on this
 * machine; the guest only says what comes.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { lstat, stat } from "node:fs/promises";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { systemCode } from "../base/file_error.ts";
import { decodeOsString, encodeOsString } from "../base/os_string.ts";
import { TreeReader } from "../guest/agent/tree_record.ts";
import type { FileKind } from "../guest/files.ts";
import { OpenDirectory } from "../host/open_directory.ts";
import { InTheWay, type Place, throughStage } from "../host/stage.ts";
import type { CopyReport } from "../host/tree_count.ts";
import { TreeWriter } from "../host/tree_writer.ts";
import { type CopyPath, parseCopyPath, planCopy } from "./copy_plan.ts";
import { hostFileError } from "./host_file_error.ts";

/** The guest's end: what the source is, and its tree once that is wanted. */
export interface TreeSource {
  readonly path: CopyPath;
  readonly kind: FileKind;
  tree(): AsyncIterable<Uint8Array>;
}

/** @throws SbxError */
export async function copyToHost(source: TreeSource, hostPath: string): Promise<CopyReport> {
  const doing = `copy to ${escapeText(hostPath)}`;
  const target = parseCopyPath(hostPath);
  try {
    const targetKind = await kindOf(target.path, target.isDirectory);
    const parentKind = await kindOf(target.parent, true);
    const plan = planCopy({
      source: source.path,
      sourceKind: source.kind,
      target,
      targetKind,
      parentKind,
    });
    const becomes = plan.kind === "become";
    const directory = await OpenDirectory.open(bytesOf(becomes ? target.parent : target.path));
    try {
      const place: Place = plan.kind === "merge"
        ? { directory }
        : { directory, name: bytesOf(plan.kind === "into" ? plan.name : target.name) };
      return await throughStage(directory, place, (stage) => receive(source, stage));
    } finally {
      await directory.close();
    }
  } catch (error) {
    if (error instanceof InTheWay) throw inTheWay(doing, error);
    throw hostFileError(doing, error);
  }
}

async function receive(source: TreeSource, stage: OpenDirectory): Promise<CopyReport> {
  const reader = new TreeReader();
  const writer = new TreeWriter(stage);
  try {
    for await (const piece of source.tree()) {
      for (const record of reader.push(piece)) await writer.take(record);
    }
  } finally {
    await writer.close();
  }
  if (!reader.whole) {
    throw new SbxError("PROTOCOL", "Cannot follow the guest's agent: it sent a part of a tree");
  }
  if (writer.root === "other" || writer.root === "link") {
    throw new SbxError(
      "FILE_UNREADABLE",
      `Cannot copy ${escapeText(source.path.path)}: neither a file nor a directory`,
    );
  }
  return writer.count.report;
}

/** What is there; a link counts as itself unless it is to be followed. */
async function kindOf(path: string, follow: boolean): Promise<FileKind | null> {
  try {
    const found = await (follow ? stat : lstat)(bytesOf(path));
    if (found.isFile()) return "file";
    if (found.isDirectory()) return "directory";
    return found.isSymbolicLink() ? "symlink" : "other";
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw error;
  }
}

function bytesOf(path: string): Buffer {
  return Buffer.from(encodeOsString(path));
}

function inTheWay(doing: string, { isDirectory, path }: InTheWay): SbxError {
  const where = path.length === 0
    ? "there"
    : `at ${escapeText(path.map((name) => decodeOsString(name)).join("/"))} in it`;
  return isDirectory
    ? new SbxError(
      "FILE_IS_DIRECTORY",
      `Cannot ${doing}: a directory is ${where}, and a file comes`,
    )
    : new SbxError(
      "FILE_NOT_DIRECTORY",
      `Cannot ${doing}: a file is ${where}, and a directory comes`,
    );
}

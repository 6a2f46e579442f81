/**
 * What a guest says is in a directory.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { decodeOsString } from "../base/os_string.ts";
import { type TreeEntry, TreeReader } from "../guest/agent/tree_record.ts";
import { type FileEntry, MAX_LIST_BYTES } from "./files.ts";

const SLASH = 0x2f;

/** @throws SbxError PROTOCOL, FILE_TOO_LARGE, and whatever the stream fails with */
export async function readList(
  path: string,
  stream: ReadableStream<Uint8Array>,
): Promise<FileEntry[]> {
  const reader = new TreeReader();
  const entries: FileEntry[] = [];
  let size = 0;
  for await (const piece of stream) {
    size += piece.length;
    if (size > MAX_LIST_BYTES) {
      throw new SbxError(
        "FILE_TOO_LARGE",
        `Cannot list ${escapeText(path)} in the guest: its names and facts are over 64 MiB`,
      );
    }
    for (const record of reader.push(piece)) {
      if (record.kind === "entry") entries.push(listed(record.entry));
      else if (record.kind !== "end") throw malformed("content");
    }
  }
  if (!reader.whole) throw malformed("no end");
  return entries;
}

function listed(entry: TreeEntry): FileEntry {
  const { type, mode, size, mtimeNs, uid, gid, name, target } = entry;
  if (type === "link" || type === "gone" || name.length === 0 || name.includes(SLASH)) {
    throw malformed("what is no entry of it");
  }
  return {
    name: decodeOsString(name),
    kind: type,
    size,
    mode,
    mtimeMs: Number(mtimeNs / 1_000_000n),
    uid,
    gid,
    ...(type === "symlink" ? { target: decodeOsString(target) } : {}),
  };
}

function malformed(what: string): SbxError {
  return new SbxError("PROTOCOL", `Cannot follow the guest's agent: it sent a list with ${what}`);
}

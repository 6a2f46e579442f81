/**
 * From this machine to the guest.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { encodeOsString } from "../base/os_string.ts";
import type { FileKind } from "../guest/files.ts";
import { OpenDirectory } from "../host/open_directory.ts";
import type { CopyReport } from "../host/tree_count.ts";
import { TreePacker } from "../host/tree_packer.ts";
import { type CopyPath, parseCopyPath } from "./copy_plan.ts";
import { hostFileError } from "./host_file_error.ts";

/** A file or directory of this machine, opened to be copied. */
export interface HostSource {
  readonly path: CopyPath;
  readonly kind: FileKind;
  /** Sends all of it, with attributes to who knows of them. @throws SbxError */
  pack(
    sink: (bytes: Uint8Array) => Promise<void>,
    options: { readonly withAttributes: boolean },
  ): Promise<CopyReport>;
  close(): Promise<void>;
}

/** A link counts as itself, unless a slash follows it. @throws SbxError */
export async function openHostSource(hostPath: string): Promise<HostSource> {
  const doing = `copy ${escapeText(hostPath)}`;
  const path = parseCopyPath(hostPath);
  try {
    if (path.isDirectory) {
      const directory = await OpenDirectory.open(bytesOf(path.path));
      return source(doing, path, "directory", directory, async (packer) => {
        await packer.packDirectory(directory);
      });
    }
    const directory = await OpenDirectory.open(bytesOf(path.parent));
    const name = bytesOf(path.name);
    const kind = await kindIn(directory, name).catch(async (error) => {
      await directory.close();
      throw error;
    });
    return source(doing, path, kind, directory, async (packer) => {
      if (!await packer.pack(directory, name)) {
        throw new SbxError("FILE_NOT_FOUND", `Cannot ${doing}: it is there no more`);
      }
    });
  } catch (error) {
    throw hostFileError(doing, error);
  }
}

function source(
  doing: string,
  path: CopyPath,
  kind: FileKind,
  directory: OpenDirectory,
  pack: (packer: TreePacker) => Promise<void>,
): HostSource {
  return {
    path,
    kind,
    async pack(sink, options) {
      const packer = new TreePacker(sink, options);
      try {
        await pack(packer);
      } catch (error) {
        throw hostFileError(doing, error);
      }
      return packer.count.report;
    },
    close: () => directory.close(),
  };
}

/** @throws what the system says, ENOENT included */
async function kindIn(directory: OpenDirectory, name: Buffer): Promise<FileKind> {
  const found = await directory.find(name);
  if (found === null) throw Object.assign(new Error("nothing has the name"), { code: "ENOENT" });
  if (found.isFile()) return "file";
  if (found.isDirectory()) return "directory";
  return found.isSymbolicLink() ? "symlink" : "other";
}

function bytesOf(path: string): Buffer {
  return Buffer.from(encodeOsString(path));
}

/**
 * The files of a sandbox, over its guest's agent.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { fileStat } from "../guest/agent/result.ts";
import type { FileKind, FileRequest, FileStat } from "../guest/files.ts";
import type { CopyReport } from "../host/tree_count.ts";
import { openHostSource } from "./copy_from_host.ts";
import { type CopyPath, parseCopyPath, planCopy } from "./copy_plan.ts";
import { copyToHost } from "./copy_to_host.ts";
import { byteCount, guestPath, pathText, permissionBits } from "./file_arguments.ts";
import { readList } from "./file_list.ts";
import { type FileAccess, FileOperation } from "./file_operation.ts";
import {
  type FileEntry,
  type FileOptions,
  type MakeOptions,
  MAX_READ_BYTES,
  type MkdirOptions,
  type ReadOptions,
  type RemoveOptions,
  type SandboxFiles,
  type WriteOptions,
} from "./files.ts";
import { requireUser } from "./user.ts";

/** What the files belong to that a sandbox makes. */
export interface GuestFilesSpec extends FileAccess {
  /** `NAME` or `UID`, with `:GROUP` if wanted. Absent: root. */
  readonly user?: string;
}

export class GuestFiles implements SandboxFiles {
  readonly #spec: GuestFilesSpec;

  constructor(spec: GuestFilesSpec) {
    this.#spec = spec;
  }

  async read(path: string, { signal }: FileOptions = {}): Promise<Uint8Array> {
    const request: FileRequest = { method: "read", path: guestPath(path, "read") };
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of this.#open(request, signal).stream()) {
      bytes += piece.length;
      if (bytes > MAX_READ_BYTES) {
        throw new SbxError("FILE_TOO_LARGE", `Cannot read ${escapeText(path)}: it is over 1 GiB`, {
          hint: "read it with readStream",
        });
      }
      pieces.push(piece);
    }
    const [only] = pieces;
    return only !== undefined && pieces.length === 1 ? only : Buffer.concat(pieces);
  }

  async readText(path: string, options: FileOptions = {}): Promise<string> {
    return new TextDecoder().decode(await this.read(path, options));
  }

  readStream(
    path: string,
    { offset, length, signal }: ReadOptions = {},
  ): ReadableStream<Uint8Array> {
    return this.#open({
      method: "read",
      path: guestPath(path, "readStream"),
      ...(offset === undefined ? {} : { offset: byteCount(offset, "readStream") }),
      ...(length === undefined ? {} : { length: byteCount(length, "readStream") }),
    }, signal).stream();
  }

  async write(
    path: string,
    data: string | Uint8Array,
    options: WriteOptions = {},
  ): Promise<void> {
    const writer = this.#writer(path, "write", options);
    await writer.write(typeof data === "string" ? new TextEncoder().encode(data) : data);
    await writer.close();
  }

  writeStream(path: string, options: WriteOptions = {}): WritableStream<Uint8Array> {
    const writer = this.#writer(path, "writeStream", options);
    return new WritableStream<Uint8Array>({
      write: (piece) => writer.write(piece),
      close: () => writer.close(),
      abort: () => writer.giveUp(),
    });
  }

  async list(path: string, { signal }: FileOptions = {}): Promise<FileEntry[]> {
    const request: FileRequest = { method: "list", path: guestPath(path, "list") };
    return await readList(path, this.#open(request, signal).stream());
  }

  async stat(path: string, options: FileOptions = {}): Promise<FileStat> {
    return await this.#stat(guestPath(path, "stat"), true, options);
  }

  async lstat(path: string, options: FileOptions = {}): Promise<FileStat> {
    return await this.#stat(guestPath(path, "lstat"), false, options);
  }

  async exists(path: string, options: FileOptions = {}): Promise<boolean> {
    return await this.#kind(guestPath(path, "exists"), true, options) !== null;
  }

  async mkdir(path: string, options: MkdirOptions = {}): Promise<void> {
    const { recursive = false, mode, signal } = options;
    await this.#do({
      method: "mkdir",
      path: guestPath(path, "mkdir"),
      recursive,
      ...(mode === undefined ? {} : { mode: permissionBits(mode, "mkdir") }),
      ...this.#owner("mkdir", options),
    }, signal);
  }

  async remove(path: string, { recursive = false, signal }: RemoveOptions = {}): Promise<void> {
    await this.#do({ method: "remove", path: guestPath(path, "remove"), recursive }, signal);
  }

  async rename(from: string, to: string, { signal }: FileOptions = {}): Promise<void> {
    await this.#do({
      method: "rename",
      path: guestPath(from, "rename"),
      to: guestPath(to, "rename"),
    }, signal);
  }

  async copy(from: string, to: string, options: FileOptions = {}): Promise<void> {
    const source = parseCopyPath(guestPath(from, "copy"));
    const { kind } = await this.#stat(asWritten(source), source.isDirectory, options);
    const at = await this.#target(source, kind, parseCopyPath(guestPath(to, "copy")), options);
    await this.#do({ method: "copy", path: asWritten(source), to: at }, options.signal);
  }

  async chmod(path: string, mode: number, { signal }: FileOptions = {}): Promise<void> {
    await this.#do({
      method: "chmod",
      path: guestPath(path, "chmod"),
      mode: permissionBits(mode, "chmod"),
    }, signal);
  }

  async chown(path: string, user: string, { signal }: FileOptions = {}): Promise<void> {
    requireUser(user, "chown");
    await this.#do({ method: "chown", path: guestPath(path, "chown"), user }, signal);
  }

  async symlink(target: string, path: string, options: MakeOptions = {}): Promise<void> {
    await this.#do({
      method: "symlink",
      path: guestPath(path, "symlink"),
      target: pathText(target, "symlink"),
      ...this.#owner("symlink", options),
    }, options.signal);
  }

  async readlink(path: string, options: FileOptions = {}): Promise<string> {
    const { target } = await this.#stat(guestPath(path, "readlink"), false, options);
    if (target !== undefined) return target;
    throw new SbxError("FILE_UNREADABLE", `Cannot read the link ${escapeText(path)}: it is none`);
  }

  async copyFromHost(
    hostPath: string,
    path: string,
    options: MakeOptions = {},
  ): Promise<CopyReport> {
    const written = parseCopyPath(guestPath(path, "copyFromHost"));
    const owner = this.#owner("copyFromHost", options);
    const source = await openHostSource(hostPath);
    try {
      const at = await this.#target(source.path, source.kind, written, options);
      const writer = this.#open({ method: "unpack", path: at, ...owner }, options.signal).writer();
      try {
        const report = await source.pack((bytes) => writer.write(bytes));
        await writer.close();
        return report;
      } catch (error) {
        writer.giveUp();
        throw error;
      }
    } finally {
      await source.close();
    }
  }

  async copyToHost(
    path: string,
    hostPath: string,
    options: FileOptions = {},
  ): Promise<CopyReport> {
    const source = parseCopyPath(guestPath(path, "copyToHost"));
    const { kind } = await this.#stat(asWritten(source), source.isDirectory, options);
    return await copyToHost({
      path: source,
      kind,
      tree: () => this.#open({ method: "pack", path: asWritten(source) }, options.signal).stream(),
    }, hostPath);
  }

  /** Where a copy goes in the guest; a slash at the end of it follows a link to a directory. */
  async #target(
    source: CopyPath,
    sourceKind: FileKind,
    target: CopyPath,
    options: FileOptions,
  ): Promise<string> {
    const { path } = target;
    const targetKind = await this.#kind(path, true, options);
    const parentKind = targetKind === null
      ? await this.#kind(target.parent, true, options)
      : "directory";
    const plan = planCopy({ source, sourceKind, target, targetKind, parentKind });
    const inside = path.endsWith("/") ? path : `${path}/`;
    switch (plan.kind) {
      case "into":
        return inside + plan.name;
      case "merge":
        return inside;
      case "become":
        return path;
    }
  }

  /** Null: nothing is there. */
  async #kind(path: string, follow: boolean, options: FileOptions): Promise<FileKind | null> {
    try {
      return (await this.#stat(path, follow, options)).kind;
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      if (error.code === "FILE_NOT_FOUND" || error.code === "FILE_NOT_DIRECTORY") return null;
      throw error;
    }
  }

  async #stat(path: string, follow: boolean, { signal }: FileOptions): Promise<FileStat> {
    return fileStat(await this.#do({ method: "stat", path, follow }, signal));
  }

  #writer(path: string, call: string, options: WriteOptions) {
    const { mode, signal } = options;
    return this.#open({
      method: "write",
      path: guestPath(path, call),
      ...(mode === undefined ? {} : { mode: permissionBits(mode, call) }),
      ...this.#owner(call, options),
    }, signal).writer();
  }

  #owner(call: string, { user = this.#spec.user }: MakeOptions): { readonly user?: string } {
    if (user === undefined) return {};
    requireUser(user, call);
    return { user };
  }

  #open(request: FileRequest, signal?: AbortSignal): FileOperation {
    return new FileOperation(this.#spec, request, signal);
  }

  async #do(
    request: FileRequest,
    signal?: AbortSignal,
  ): Promise<Readonly<Record<string, unknown>>> {
    return await this.#open(request, signal).answer();
  }
}

/** For the agent, where a slash at the end means that a link is followed. */
function asWritten({ path, isDirectory }: CopyPath): string {
  return isDirectory && !path.endsWith("/") ? `${path}/` : path;
}

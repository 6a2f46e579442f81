/**
 * The files of a sandbox, over its guest's agent.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { attributesLeftOut, fileStat, knowsAttributes } from "../guest/agent/result.ts";
import type { FileKind, FileRequest, FileStat } from "../guest/files.ts";
import type { CopyReport } from "../host/tree_count.ts";
import type { Fields } from "../wire/call_result.ts";
import { openHostSource } from "./copy_from_host.ts";
import { type CopyPath, parseCopyPath, planCopy } from "./copy_plan.ts";
import { copyToHost } from "./copy_to_host.ts";
import {
  contentBytes,
  fileOptions,
  guestPath,
  pathText,
  permissionBits,
} from "./file_arguments.ts";
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

const SIGNAL = { signal: true } as const;
const MAKE = { signal: true, user: true } as const;

export class GuestFiles implements SandboxFiles {
  readonly #spec: GuestFilesSpec;
  /** Every copy asks for a `stat` first, which is answered with it. */
  #knowsAttributes = false;

  constructor(spec: GuestFilesSpec) {
    this.#spec = spec;
  }

  async read(path: string, options: FileOptions = {}): Promise<Uint8Array> {
    const { signal } = fileOptions("read", options, SIGNAL);
    const request: FileRequest = { method: "read", path: guestPath("read", path) };
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

  readStream(path: string, options: ReadOptions = {}): ReadableStream<Uint8Array> {
    const names = { ...SIGNAL, offset: true, length: true } as const;
    const { signal, ...part } = fileOptions("readStream", options, names);
    return this.#open({ method: "read", path: guestPath("readStream", path), ...part }, signal)
      .stream();
  }

  async write(
    path: string,
    data: string | Uint8Array,
    options: WriteOptions = {},
  ): Promise<void> {
    const bytes = contentBytes("write", data);
    const writer = this.#writer("write", path, options);
    await writer.write(bytes);
    await writer.close();
  }

  writeStream(path: string, options: WriteOptions = {}): WritableStream<Uint8Array> {
    const writer = this.#writer("writeStream", path, options);
    return new WritableStream<Uint8Array>({
      write: (piece) => writer.write(piece),
      close: async () => void await writer.close(),
      abort: () => writer.giveUp(),
    });
  }

  async list(path: string, options: FileOptions = {}): Promise<FileEntry[]> {
    const { signal } = fileOptions("list", options, SIGNAL);
    const request: FileRequest = { method: "list", path: guestPath("list", path) };
    return await readList(path, this.#open(request, signal).stream());
  }

  async stat(path: string, options: FileOptions = {}): Promise<FileStat> {
    const { signal } = fileOptions("stat", options, SIGNAL);
    return await this.#stat(guestPath("stat", path), true, signal);
  }

  async lstat(path: string, options: FileOptions = {}): Promise<FileStat> {
    const { signal } = fileOptions("lstat", options, SIGNAL);
    return await this.#stat(guestPath("lstat", path), false, signal);
  }

  async exists(path: string, options: FileOptions = {}): Promise<boolean> {
    const { signal } = fileOptions("exists", options, SIGNAL);
    return await this.#kind(guestPath("exists", path), signal) !== null;
  }

  async mkdir(path: string, options: MkdirOptions = {}): Promise<void> {
    const names = { ...MAKE, recursive: true, mode: true } as const;
    const { signal, recursive = false, ...rest } = fileOptions("mkdir", options, names);
    await this.#do({
      method: "mkdir",
      path: guestPath("mkdir", path),
      recursive,
      ...this.#owner,
      ...rest,
    }, signal);
  }

  async remove(path: string, options: RemoveOptions = {}): Promise<void> {
    const names = { ...SIGNAL, recursive: true } as const;
    const { signal, recursive = false } = fileOptions("remove", options, names);
    await this.#do({ method: "remove", path: guestPath("remove", path), recursive }, signal);
  }

  async rename(from: string, to: string, options: FileOptions = {}): Promise<void> {
    const { signal } = fileOptions("rename", options, SIGNAL);
    await this.#do({
      method: "rename",
      path: guestPath("rename", from),
      to: guestPath("rename", to),
    }, signal);
  }

  async copy(from: string, to: string, options: FileOptions = {}): Promise<void> {
    const { signal } = fileOptions("copy", options, SIGNAL);
    const source = parseCopyPath(guestPath("copy", from));
    const target = parseCopyPath(guestPath("copy", to));
    const { kind } = await this.#stat(asWritten(source), source.isDirectory, signal);
    const at = await this.#target(source, kind, target, signal);
    await this.#do({ method: "copy", path: asWritten(source), to: at }, signal);
  }

  async chmod(path: string, mode: number, options: FileOptions = {}): Promise<void> {
    const { signal } = fileOptions("chmod", options, SIGNAL);
    await this.#do({
      method: "chmod",
      path: guestPath("chmod", path),
      mode: permissionBits("chmod", mode),
    }, signal);
  }

  async chown(path: string, user: string, options: FileOptions = {}): Promise<void> {
    const { signal } = fileOptions("chown", options, SIGNAL);
    requireUser(user, "fs.chown");
    await this.#do({ method: "chown", path: guestPath("chown", path), user }, signal);
  }

  async symlink(target: string, path: string, options: MakeOptions = {}): Promise<void> {
    const { signal, ...owner } = fileOptions("symlink", options, MAKE);
    await this.#do({
      method: "symlink",
      path: guestPath("symlink", path),
      target: pathText("symlink", target),
      ...this.#owner,
      ...owner,
    }, signal);
  }

  async readlink(path: string, options: FileOptions = {}): Promise<string> {
    const { signal } = fileOptions("readlink", options, SIGNAL);
    const { target } = await this.#stat(guestPath("readlink", path), false, signal);
    if (target !== undefined) return target;
    throw new SbxError("FILE_UNREADABLE", `Cannot read the link ${escapeText(path)}: it is none`);
  }

  async copyFromHost(
    hostPath: string,
    path: string,
    options: MakeOptions = {},
  ): Promise<CopyReport> {
    const { signal, ...owner } = fileOptions("copyFromHost", options, MAKE);
    const target = parseCopyPath(guestPath("copyFromHost", path));
    const source = await openHostSource(pathText("copyFromHost", hostPath));
    try {
      const at = await this.#target(source.path, source.kind, target, signal);
      const request: FileRequest = { method: "unpack", path: at, ...this.#owner, ...owner };
      const writer = this.#open(request, signal).writer();
      try {
        const report = await source.pack((bytes) => writer.write(bytes), {
          withAttributes: this.#knowsAttributes,
        });
        return { ...report, attributesLeftOut: attributesLeftOut(await writer.close()) };
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
    const { signal } = fileOptions("copyToHost", options, SIGNAL);
    const source = parseCopyPath(guestPath("copyToHost", path));
    const target = pathText("copyToHost", hostPath);
    const { kind } = await this.#stat(asWritten(source), source.isDirectory, signal);
    const tree = () =>
      this.#open({ method: "pack", path: asWritten(source), attributes: true }, signal)
        .stream();
    return await copyToHost({ path: source, kind, tree }, target);
  }

  /** Where a copy goes in the guest; a slash at the end of it follows a link to a directory. */
  async #target(
    source: CopyPath,
    sourceKind: FileKind,
    target: CopyPath,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const { path } = target;
    const targetKind = await this.#kind(path, signal);
    const parentKind = targetKind === null ? await this.#kind(target.parent, signal) : "directory";
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

  /** What a path leads to; null: nothing. */
  async #kind(path: string, signal: AbortSignal | undefined): Promise<FileKind | null> {
    try {
      return (await this.#stat(path, true, signal)).kind;
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      if (error.code === "FILE_NOT_FOUND" || error.code === "FILE_NOT_DIRECTORY") return null;
      throw error;
    }
  }

  async #stat(path: string, follow: boolean, signal: AbortSignal | undefined): Promise<FileStat> {
    const answer = await this.#do({ method: "stat", path, follow }, signal);
    this.#knowsAttributes = knowsAttributes(answer);
    return fileStat(answer);
  }

  #writer(call: string, path: string, options: WriteOptions) {
    const { signal, ...rest } = fileOptions(call, options, { ...MAKE, mode: true });
    const at = guestPath(call, path);
    return this.#open({ method: "write", path: at, ...this.#owner, ...rest }, signal).writer();
  }

  /** Whom what is made belongs to when nobody else is named. */
  get #owner(): { readonly user?: string } {
    const { user } = this.#spec;
    return user === undefined ? {} : { user };
  }

  #open(request: FileRequest, signal: AbortSignal | undefined): FileOperation {
    return new FileOperation(this.#spec, request, signal);
  }

  async #do(request: FileRequest, signal: AbortSignal | undefined): Promise<Fields> {
    return await this.#open(request, signal).answer();
  }
}

/** For the agent, where a slash at the end means that a link is followed. */
function asWritten({ path, isDirectory }: CopyPath): string {
  return isDirectory && !path.endsWith("/") ? `${path}/` : path;
}

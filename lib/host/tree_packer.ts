/**
 * Reads a file or directory of this machine as a tree for the guest. Links are carried, never followed,
 * whoever put them there: a guest can write in its mounts, and must not have what is beside them.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { BigIntStats } from "node:fs";
import { type FileHandle, readlink } from "node:fs/promises";
import { decodeOsString } from "../base/os_string.ts";
import { systemCode } from "../base/file_error.ts";
import {
  asData,
  encodeAttribute,
  encodeEnd,
  encodeEntry,
  encodeHole,
  type EntryType,
  MAX_CONTENT,
  RECORD_HEAD,
} from "../guest/agent/tree_record.ts";
import type { OpenDirectory } from "./open_directory.ts";
import { ownSystem } from "./own_system.ts";
import { isStage } from "./stage.ts";
import { TreeCount } from "./tree_count.ts";

/** Takes bytes of the stream, and has taken them when it resolves. */
export type Sink = (bytes: Uint8Array) => Promise<void>;

const NONE = Buffer.alloc(0);
const BATCH = 64 * 1024;

export class TreePacker {
  readonly count: TreeCount = new TreeCount();
  readonly #sink: Sink;
  readonly #withAttributes: boolean;
  /** Small records wait here for others. */
  readonly #batch = Buffer.alloc(BATCH);
  #filled = 0;
  readonly #room = Buffer.alloc(RECORD_HEAD + MAX_CONTENT);
  /** Files with several names, by device and number. */
  readonly #linked = new Map<string, number>();

  /** `withAttributes`: whoever gets it knows of them. */
  constructor(sink: Sink, { withAttributes }: { readonly withAttributes: boolean }) {
    this.#sink = sink;
    this.#withAttributes = withAttributes;
  }

  /** Sends what has the name in the directory, whole. False when nothing has. */
  async pack(directory: OpenDirectory, name: Buffer): Promise<boolean> {
    if (!await this.#pack(directory, name, NONE)) return false;
    await this.#send(encodeEnd());
    await this.#flush();
    return true;
  }

  /** Sends the directory itself, whole. */
  async packDirectory(directory: OpenDirectory): Promise<void> {
    const info = await directory.find(Buffer.from("."));
    if (info !== null) await this.#directory(directory, info, NONE);
    await this.#send(encodeEnd());
    await this.#flush();
  }

  /** False for what is not there any more. */
  async #pack(directory: OpenDirectory, name: Buffer, path: Buffer): Promise<boolean> {
    const info = await directory.find(name);
    if (info === null) return false;
    if (info.isDirectory()) {
      const inside = await unlessGone(directory.enter(name));
      if (inside === null) return false;
      try {
        await this.#directory(inside, info, path);
      } finally {
        await inside.close();
      }
      return true;
    }
    if (info.isSymbolicLink()) {
      const target = await unlessGone(readlink(directory.at(name), { encoding: "buffer" }));
      if (target === null) return false;
      await this.#entry("symlink", info, path, { target });
      return true;
    }
    if (info.isFile()) return await this.#file(directory, name, path);
    await this.#entry("other", info, path);
    return true;
  }

  async #directory(directory: OpenDirectory, info: BigIntStats, path: Buffer): Promise<void> {
    await this.#entry("directory", info, path);
    await this.#attributes(directory.fd);
    for (const name of await directory.names()) {
      if (isStage(name)) continue;
      const below = path.length === 0 ? name : Buffer.concat([path, Buffer.from("/"), name]);
      await this.#pack(directory, name, below);
    }
  }

  async #file(directory: OpenDirectory, name: Buffer, path: Buffer): Promise<boolean> {
    const handle = await unlessGone(directory.read(name));
    if (handle === null) return false;
    try {
      const info = await handle.stat({ bigint: true }); // it may have become another in between
      if (!info.isFile()) {
        await this.#entry("other", info, path);
        return true;
      }
      const several = info.nlink > 1n;
      const key = `${info.dev} ${info.ino}`;
      const known = several ? this.#linked.get(key) : undefined;
      if (known !== undefined) {
        await this.#entry("link", info, path, { id: known });
        return true;
      }
      const id = several ? this.#linked.size + 1 : 0;
      if (several) this.#linked.set(key, id);
      await this.#entry("file", info, path, { id });
      await this.#attributes(handle.fd);
      await this.#content(handle, info);
      return true;
    } finally {
      await handle.close();
    }
  }

  async #attributes(fd: number): Promise<void> {
    if (!this.#withAttributes) return;
    const { files } = ownSystem();
    for (const name of files.attributeNames(fd)) {
      const value = files.attribute(fd, name);
      if (value !== null) await this.#send(encodeAttribute(name, value));
    }
  }

  /** Only a file that takes less room than its size is asked for its holes; one that grows is read on. */
  async #content(handle: FileHandle, { blocks, size }: BigIntStats): Promise<void> {
    const { files } = ownSystem();
    if (blocks * 512n >= size || files.extentAt(handle.fd, 0) === undefined) {
      await this.#data(handle, 0, Infinity);
      return;
    }
    let at = 0;
    for (;;) {
      const extent = files.extentAt(handle.fd, at);
      const next = extent?.from ?? Number(size);
      if (next > at) await this.#send(encodeHole(next - at));
      if (extent === null || extent === undefined) return;
      at = await this.#data(handle, extent.from, extent.to);
      if (at < extent.to) return; // it has shrunk
    }
  }

  /** Sends the bytes from one place up to another, and says how far there were any. */
  async #data(handle: FileHandle, from: number, to: number): Promise<number> {
    let at = from;
    while (at < to) {
      const wanted = Math.min(MAX_CONTENT, to - at);
      const { bytesRead } = await handle.read(this.#room, RECORD_HEAD, wanted, at);
      if (bytesRead === 0) break;
      at += bytesRead;
      this.count.bytes += bytesRead;
      await this.#send(asData(this.#room, bytesRead));
    }
    return at;
  }

  async #entry(
    type: EntryType,
    info: BigIntStats,
    name: Buffer,
    { id = 0, target = NONE }: { readonly id?: number; readonly target?: Buffer } = {},
  ): Promise<void> {
    await this.#send(encodeEntry({
      type,
      mode: Number(info.mode & 0o7777n),
      size: Number(info.size),
      mtimeNs: info.mtimeNs,
      uid: 0, // whoever it is here, it belongs to somebody else there
      gid: 0,
      id,
      name,
      target,
    }));
    this.count.add(type, () => decodeOsString(name));
  }

  async #send(record: Uint8Array): Promise<void> {
    if (this.#filled + record.length > BATCH) await this.#flush();
    if (record.length > BATCH) return await this.#sink(record);
    this.#batch.set(record, this.#filled);
    this.#filled += record.length;
  }

  async #flush(): Promise<void> {
    if (this.#filled === 0) return;
    await this.#sink(this.#batch.subarray(0, this.#filled));
    this.#filled = 0;
  }
}

/** Null for what vanished, or became a link or another kind of file, after its name was read. */
async function unlessGone<T>(opening: Promise<T>): Promise<T | null> {
  try {
    return await opening;
  } catch (error) {
    if (GONE.has(systemCode(error) ?? "")) return null;
    throw error;
  }
}

const GONE: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ELOOP", "EINVAL", "ENXIO"]);

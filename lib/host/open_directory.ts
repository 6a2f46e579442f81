/**
 * A directory by the descriptor that it was opened with, and what is in it by name. Whoever else may write
 * there can put a link in the place of a directory at any time, as a guest can in a mount; what is done
 * here still happens in the directory that was opened, and links are never followed.
 *
 * Neither Bun nor Node has openat(2). Linux has the descriptor's own path below /proc, which leads to the
 * open directory itself. Elsewhere a path is all there is: there a link that is swapped in at the right
 * moment is followed.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { type FileHandle, lstat, open, readdir } from "node:fs/promises";
import { systemCode } from "../base/file_error.ts";
import { ownSystem } from "./own_system.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;

export class OpenDirectory {
  readonly #handle: FileHandle;
  readonly #prefix: Buffer;

  private constructor(handle: FileHandle, path: Buffer) {
    this.#handle = handle;
    this.#prefix = ownSystem().files.inside(handle.fd, path);
  }

  /** By its path, in which links are followed, as whoever gave it means it. */
  static async open(path: string | Buffer): Promise<OpenDirectory> {
    return new OpenDirectory(await open(path, O_RDONLY | O_DIRECTORY), Buffer.from(path));
  }

  /** A directory in this one. A link to one is none: ENOTDIR or ELOOP. */
  async enter(name: Buffer): Promise<OpenDirectory> {
    const path = this.at(name);
    return new OpenDirectory(await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), path);
  }

  /** The path of what has this name here, for functions that do not follow a link at its end. */
  at(name: Buffer): Buffer {
    return Buffer.concat([this.#prefix, name]);
  }

  /** The names that are here, sorted by their bytes. */
  async names(): Promise<Buffer[]> {
    const names = await readdir(this.at(Buffer.from(".")), { encoding: "buffer" });
    return names.sort(Buffer.compare);
  }

  /** What has the name; null for nothing. */
  async find(name: Buffer) {
    try {
      return await lstat(this.at(name), { bigint: true });
    } catch (error) {
      if (systemCode(error) === "ENOENT") return null;
      throw error;
    }
  }

  /** Opens a file to be read. Whether it is a regular one is still to be seen. */
  async read(name: Buffer): Promise<FileHandle> {
    // Without O_NONBLOCK a named pipe would block a thread for ever.
    return await open(this.at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  }

  /** Permission bits of the directory itself. */
  async chmod(mode: number): Promise<void> {
    await this.#handle.chmod(mode);
  }

  /** Its descriptor, while it is open. */
  get fd(): number {
    return this.#handle.fd;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

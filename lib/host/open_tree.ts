/**
 * Directories below one that is open, by their paths, without ever following a link on the way. Those on the way to
 * the last one stay open, so that a walk in order opens each once.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { encodeOsString } from "../base/os_string.ts";
import { systemCode } from "../base/file_error.ts";
import { OpenDirectory } from "./open_directory.ts";

/** What says that no directory is there. */
const NONE: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ELOOP"]);

/** A file by the directory that it is in. Good until another one is asked for. */
export interface TreePlace {
  readonly directory: OpenDirectory;
  readonly name: Buffer;
}

export class OpenTree {
  readonly top: OpenDirectory;
  readonly #open: { readonly step: string; readonly directory: OpenDirectory }[] = [];

  constructor(top: OpenDirectory) {
    this.top = top;
  }

  /** The directory that has the steps; null where none is. Good until another one is asked for. */
  async directory(steps: readonly string[]): Promise<OpenDirectory | null> {
    let same = 0;
    while (same < steps.length && this.#open[same]?.step === steps[same]) same++;
    await this.#closeTo(same);
    for (const step of steps.slice(same)) {
      try {
        const above = this.#open.at(-1)?.directory ?? this.top;
        this.#open.push({ step, directory: await above.enter(nameOf(step)) });
      } catch (error) {
        if (NONE.has(systemCode(error) ?? "")) return null;
        throw error;
      }
    }
    return this.#open.at(-1)?.directory ?? this.top;
  }

  /** Where a path ends; null where the directory that it would be in is not there. */
  async place(path: string): Promise<TreePlace | null> {
    const steps = path.split("/");
    const directory = await this.directory(steps.slice(0, -1));
    return directory === null ? null : { directory, name: nameOf(steps.at(-1) ?? "") };
  }

  /** What has the path, links not followed; null for nothing. */
  async find(path: string) {
    const place = await this.place(path);
    return await place?.directory.find(place.name) ?? null;
  }

  /** Lets go of all but the top: what was open may be another directory's by now. */
  async forget(): Promise<void> {
    await this.#closeTo(0);
  }

  async close(): Promise<void> {
    await this.#closeTo(0);
    await this.top.close();
  }

  async #closeTo(depth: number): Promise<void> {
    for (const { directory } of this.#open.splice(depth).reverse()) await directory.close();
  }
}

function nameOf(step: string): Buffer {
  return Buffer.from(encodeOsString(step));
}

/**
 * What a guest says that it changed, read from the stream of its agent. Every name is checked here: what is below
 * must be in a directory that was said to be one.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SbxError } from "../../base/errors.ts";
import { decodeOsString } from "../../base/os_string.ts";
import { type TreeEntry, TreeReader, type TreeRecord } from "../../guest/agent/tree_record.ts";
import { parentOf } from "./above.ts";

/** More than an honest tree has; a guest must not fill the memory. */
const MAX_CHANGES = 500_000;
const MAX_DEPTH = 256;

/** Of names and of what links lead to, in all. */
const MAX_NAME_BYTES = 64 << 20;

/** A digest comes in the place of a file's content. */
const DIGEST_BYTES = 32;

/** A path that may differ. */
export interface Reported {
  readonly path: string;
  readonly type: Exclude<TreeEntry["type"], "link">;
  readonly mode: number;
  readonly size: number;
  readonly target?: string;
  /** Of a directory: all that is in it was said, and nothing else is there. */
  readonly isWhole: boolean;
  /** Of a file, unless it is too large. */
  sha256?: string;
}

/** By path, in the order of the tree. @throws SbxError PROTOCOL */
export async function readReported(
  stream: AsyncIterable<Uint8Array>,
): Promise<ReadonlyMap<string, Reported>> {
  const reader = new TreeReader();
  const list = new ReportedList();
  for await (const piece of stream) {
    for (const record of reader.push(piece)) list.take(record);
  }
  if (!reader.whole) throw impossible("a part of its changes");
  return list.found;
}

class ReportedList {
  readonly found = new Map<string, Reported>();
  #last: Reported | undefined;
  #isBegun = false;
  #nameBytes = 0;

  take(record: TreeRecord): void {
    switch (record.kind) {
      case "entry":
        return this.#enter(record.entry);
      case "data":
        if (this.#last?.type !== "file" || this.#last.sha256 !== undefined) {
          throw impossible("a digest of no file");
        }
        if (record.bytes.length !== DIGEST_BYTES) throw impossible("a digest that is none");
        this.#last.sha256 = Buffer.from(record.bytes).toString("hex");
        return;
      case "attribute":
      case "hole":
        throw impossible("a file in the place of its digest");
      case "end":
        if (!this.#isBegun) throw impossible("no tree at all");
    }
  }

  #enter(entry: TreeEntry): void {
    if (!this.#isBegun) {
      if (entry.name.length > 0 || entry.type !== "directory") throw impossible("no directory");
      this.#isBegun = true;
      return;
    }
    const path = decodeOsString(entry.name);
    const steps = path.split("/");
    if (steps.some((step) => step === "" || step === "." || step === "..")) {
      throw impossible("a name that leads elsewhere");
    }
    const above = parentOf(path);
    if (above !== "" && this.found.get(above)?.type !== "directory") {
      throw impossible("a file whose directory is none");
    }
    if (entry.type === "link") throw impossible("a file of another name");
    if (this.found.has(path)) throw impossible("two files of one name");
    this.#nameBytes += entry.name.length + entry.target.length;
    if (steps.length > MAX_DEPTH) throw tooMuch(`it is more than ${MAX_DEPTH} directories deep`);
    if (this.found.size >= MAX_CHANGES) throw tooMuch(`they are more than ${MAX_CHANGES}`);
    if (this.#nameBytes > MAX_NAME_BYTES) {
      throw tooMuch(`their names and links have more than ${MAX_NAME_BYTES >> 20} MiB`);
    }
    this.#last = {
      path,
      type: entry.type,
      mode: entry.mode & 0o777,
      size: entry.type === "file" ? entry.size : 0,
      ...(entry.type === "symlink" ? { target: decodeOsString(entry.target) } : {}),
      isWhole: entry.type === "directory" && entry.id !== 0,
    };
    this.found.set(path, this.#last);
  }
}

function tooMuch(state: string): SbxError {
  return new SbxError("FILE_TOO_LARGE", `Cannot look at the changes of the guest: ${state}`, {
    hint: "copy what is wanted with 'sbx cp'",
  });
}

function impossible(what: string): SbxError {
  return new SbxError("PROTOCOL", `Cannot follow the guest's agent: it told of ${what}`);
}

/**
 * Content of files that the guest changed, put where nobody else looks yet. What comes must be what was looked at:
 * the guest may have gone on, or may lie.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash, type Hash } from "node:crypto";
import { open } from "node:fs/promises";
import { setImmediate as turn } from "node:timers/promises";
import { SbxError } from "../../base/errors.ts";
import { encodeOsString } from "../../base/os_string.ts";
import { type TreeEntry, TreeReader, type TreeRecord } from "../../guest/agent/tree_record.ts";
import type { OpenDirectory } from "../../host/open_directory.ts";
import type { FoundChange } from "./compare.ts";

/** A call that takes names and sends their content. */
export interface Taking {
  writer(): {
    write(bytes: Uint8Array): Promise<void>;
    close(): Promise<unknown>;
    giveUp(): void;
  };
  stream(): AsyncIterable<Uint8Array>;
}

/** Where the content of one file goes. */
export interface Receiver {
  write(bytes: Uint8Array, at: number): Promise<void>;
  /** So many bytes it has, of which the last ones may be zeros that were never written. */
  extend(size: number): Promise<void>;
  close(): Promise<void>;
}

/** Makes room for a file by its place in the list. */
export type Receive = (change: FoundChange, index: number) => Promise<Receiver>;

/** Into the stage, where each file has its place in the list for a name. */
export function inStage(stage: OpenDirectory): Receive {
  return async (_, index) => {
    // "wx" is O_CREAT with O_EXCL; what has the name is nobody else's.
    const handle = await open(stage.at(Buffer.from(String(index))), "wx", 0o600);
    return {
      async write(bytes, at) {
        for (let done = 0; done < bytes.length;) {
          const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
          done += bytesWritten;
        }
      },
      extend: (size) => handle.truncate(size),
      close: () => handle.close(),
    };
  };
}

/** Into memory, of files that are known to be small. */
export function inMemory(kept: Map<FoundChange, Buffer>): Receive {
  return (change) => {
    const room = Buffer.alloc(change.after?.size ?? 0);
    return Promise.resolve({
      write: (bytes, at) => Promise.resolve(void room.set(bytes, at)),
      extend: () => Promise.resolve(),
      close: () => Promise.resolve(void kept.set(change, room)),
    });
  };
}

const NAMES_AT_ONCE = 256;
const ZEROS = Buffer.alloc(1 << 20);

/**
 * Has each file received. The answer says which are not what was looked at.
 *
 * @throws the signal's reason, SbxError PROTOCOL, what ended the sandbox, and what the system says of files
 */
export async function takeFiles(
  files: readonly FoundChange[],
  receive: Receive,
  taking: Taking,
  signal?: AbortSignal,
): Promise<ReadonlySet<FoundChange>> {
  const incoming = new Incoming(files, receive, signal);
  const reader = new TreeReader();
  const asked = ask(files, taking);
  asked.catch(() => {}); // the stream says so as well, or is not read any more
  try {
    for await (const piece of taking.stream()) {
      for (const record of reader.push(piece)) await incoming.take(record);
    }
  } finally {
    await incoming.close();
  }
  await asked;
  if (!reader.whole) throw impossible("a part of what it was asked for");
  return incoming.others();
}

async function ask(files: readonly FoundChange[], taking: Taking): Promise<void> {
  const writer = taking.writer();
  for (let at = 0; at < files.length; at += NAMES_AT_ONCE) {
    const names = files.slice(at, at + NAMES_AT_ONCE).flatMap(({ path }) => [
      encodeOsString(path),
      Uint8Array.of(0),
    ]);
    await writer.write(Buffer.concat(names));
  }
  await writer.close();
}

interface OpenFile {
  readonly change: FoundChange;
  readonly receiver: Receiver;
  readonly hash: Hash;
  size: number;
}

class Incoming {
  readonly #files: readonly FoundChange[];
  readonly #receive: Receive;
  readonly #signal: AbortSignal | undefined;
  readonly #others = new Set<FoundChange>();
  #next = 0;
  #isBegun = false;
  #file: OpenFile | undefined;

  constructor(
    files: readonly FoundChange[],
    receive: Receive,
    signal: AbortSignal | undefined,
  ) {
    this.#files = files;
    this.#receive = receive;
    this.#signal = signal;
  }

  others(): ReadonlySet<FoundChange> {
    return this.#others;
  }

  async take(record: TreeRecord): Promise<void> {
    switch (record.kind) {
      case "entry":
        await this.#endFile();
        return await this.#enter(record.entry);
      case "data":
        return await this.#content(
          record.bytes.length,
          (file) => file.receiver.write(record.bytes, file.size),
          (file) => file.hash.update(record.bytes),
        );
      case "hole":
        return await this.#content(
          record.bytes,
          (file) => file.receiver.extend(file.size + record.bytes),
          (file) => zeros(file.hash, record.bytes, this.#signal),
        );
      case "attribute":
        throw impossible("an attribute, which nobody asked for");
      case "end":
        await this.#endFile();
        if (this.#next !== this.#files.length) throw impossible("less than it was asked for");
    }
  }

  async close(): Promise<void> {
    await this.#file?.receiver.close();
    this.#file = undefined;
  }

  async #enter(entry: TreeEntry): Promise<void> {
    if (!this.#isBegun) {
      this.#isBegun = true;
      if (entry.type === "directory" && entry.name.length === 0) return;
    }
    const change = this.#files[this.#next];
    const index = this.#next++;
    if (change === undefined || !entry.name.equals(encodeOsString(change.path))) {
      throw impossible("what it was not asked for");
    }
    if (entry.type !== "file") return void this.#others.add(change);
    const receiver = await this.#receive(change, index);
    this.#file = { change, receiver, hash: createHash("sha256"), size: 0 };
  }

  /** What is more than there should be is dropped, and the file with it. */
  async #content(
    length: number,
    write: (file: OpenFile) => Promise<unknown>,
    digest: (file: OpenFile) => unknown,
  ): Promise<void> {
    const file = this.#file;
    if (file === undefined) {
      if (this.#others.size > 0) return;
      throw impossible("content of no file");
    }
    if (this.#others.has(file.change)) return;
    if (file.size + length > (file.change.after?.size ?? 0)) {
      this.#others.add(file.change);
      return;
    }
    await write(file);
    await digest(file);
    file.size += length;
  }

  async #endFile(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    await file.receiver.close();
    const { change, hash, size } = file;
    if (size !== change.after?.size || hash.digest("hex") !== change.after.sha256) {
      this.#others.add(change);
    }
  }
}

/** A hole costs the guest nothing, and can be as large as a disk: others have their turn meanwhile. */
async function zeros(hash: Hash, count: number, signal: AbortSignal | undefined): Promise<void> {
  for (let rest = count; rest > 0; rest -= ZEROS.length) {
    if (rest < count) await turn();
    signal?.throwIfAborted();
    hash.update(rest < ZEROS.length ? ZEROS.subarray(0, rest) : ZEROS);
  }
}

function impossible(what: string): SbxError {
  return new SbxError("PROTOCOL", `Cannot follow the guest's agent: it sent ${what}`);
}

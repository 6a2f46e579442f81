/**
 * Makes the tree that a guest sends, in an empty directory that is ours alone. What the guest says decides
 * names, content, permission bits, times and users' attributes, and nothing else: every name is one step below a directory
 * that the tree itself made, nothing that is there is opened or replaced, and links are made, never
 * followed.
 *
 * ```
 * empty ── entry of the root ──► open ── entry, attribute, data, hole … ──► end ──► whole
 * ```
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { mkdirSync } from "node:fs"; // Deno's promise of it takes no bytes for a path
import { type FileHandle, link, open, symlink } from "node:fs/promises";
import { SbxError } from "../base/errors.ts";
import { systemCode } from "../base/file_error.ts";
import { decodeOsString } from "../base/os_string.ts";
import type { TreeEntry, TreeRecord } from "../guest/agent/tree_record.ts";
import { ownSystem } from "./own_system.ts";
import { setLinkTime, setTime } from "./file_times.ts";
import type { OpenDirectory } from "./open_directory.ts";
import { TREE } from "./stage.ts";
import { TreeCount } from "./tree_count.ts";

/** Directories in each other; each is open, and a process has few descriptors. */
const MAX_DEPTH = 256;

/** Files with several names that are remembered: a guest must not fill the memory. */
const MAX_LINKED = 200_000;

/** Bytes of all names of a file's attributes, each with a NUL: Linux has no more. */
const MAX_ATTRIBUTE_NAMES = 64 * 1024;

const SLASH = 0x2f;

interface Level {
  readonly name: Buffer;
  readonly directory: OpenDirectory;
  readonly entry: TreeEntry;
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly entry: TreeEntry;
  /** Where the next bytes belong, and how far there are any. */
  at: number;
  written: number;
}

export class TreeWriter {
  readonly count: TreeCount = new TreeCount();
  readonly #stage: OpenDirectory;
  /** The root and the directories from there to where the last entry was made. */
  readonly #levels: Level[] = [];
  readonly #linked = new Map<number, readonly Buffer[]>();
  #file: OpenFile | undefined;
  /** What the next attributes are of: what was made last, before its content. */
  #bearer: { readonly fd: number; names: number } | undefined;
  #state: "empty" | "open" | "whole" = "empty";
  #root: TreeEntry["type"] | undefined;

  constructor(stage: OpenDirectory) {
    this.#stage = stage;
  }

  /** What the tree is; undefined before its first entry. */
  get root(): TreeEntry["type"] | undefined {
    return this.#root;
  }

  /** @throws SbxError PROTOCOL for a tree that cannot be; whatever the system says of files */
  async take(record: TreeRecord): Promise<void> {
    if (record.kind === "attribute") return this.#attribute(record.name, record.value);
    this.#bearer = undefined;
    switch (record.kind) {
      case "entry":
        await this.#endFile();
        return await this.#enter(record.entry);
      case "data":
        return await this.#write(this.#openFile(), record.bytes);
      case "hole": {
        const file = this.#openFile();
        file.at += record.bytes;
        if (!Number.isSafeInteger(file.at)) throw impossible("a file without an end");
        return;
      }
      case "end":
        if (this.#state !== "open") throw impossible("an end and nothing before it");
        await this.#endFile();
        await this.#leaveTo(0);
        this.#state = "whole";
    }
  }

  /** Lets go of whatever is open, whether the tree is whole or not. */
  async close(): Promise<void> {
    await this.#file?.handle.close();
    this.#file = undefined;
    for (const { directory } of this.#levels.splice(0)) await directory.close();
  }

  async #enter(entry: TreeEntry): Promise<void> {
    if (this.#state === "empty") {
      if (entry.name.length > 0) throw impossible("a tree without a root");
      this.#state = "open";
      this.#root = entry.type;
      return await this.#make(this.#stage, TREE, [], entry);
    }
    const path = stepsOf(entry.name);
    const above = path.slice(0, -1);
    const name = path.at(-1);
    if (name === undefined) throw impossible("two roots");
    const open = this.#levels.slice(1, path.length);
    // Depth first: what the entry is in was made before, and is open.
    const isOpen = this.#levels.length > 0 && open.length === above.length &&
      above.every((step, at) => open[at]?.name.equals(step));
    if (!isOpen) throw impossible("an entry whose directory is not there");
    await this.#leaveTo(path.length);
    const directory = this.#levels.at(-1)?.directory;
    if (directory !== undefined) await this.#make(directory, name, path, entry);
  }

  async #make(
    directory: OpenDirectory,
    name: Buffer,
    path: readonly Buffer[],
    entry: TreeEntry,
  ): Promise<void> {
    const at = directory.at(name);
    try {
      switch (entry.type) {
        case "directory":
          if (path.length >= MAX_DEPTH) throw impossible(`more than ${MAX_DEPTH} directories deep`);
          mkdirSync(at, 0o700);
          this.#levels.push(await this.#level(directory, name, entry));
          break;
        case "file":
          // "wx" is O_CREAT with O_EXCL: neither a link nor a file is opened that is there.
          this.#file = { handle: await open(at, "wx", 0o600), entry, at: 0, written: 0 };
          this.#bearer = { fd: this.#file.handle.fd, names: 0 };
          if (entry.id !== 0) this.#remember(entry.id, path);
          break;
        case "symlink":
          await symlink(entry.target, at);
          setLinkTime(at, entry.mtimeNs);
          break;
        case "link":
          await this.#link(entry.id, at);
          break;
        case "other":
          break;
        case "gone":
          throw impossible("a file that is gone");
      }
    } catch (error) {
      if (systemCode(error) === "EEXIST") throw impossible("two entries of one name");
      throw error;
    }
    this.count.add(entry.type, () => decodeOsString(entry.name));
  }

  async #level(above: OpenDirectory, name: Buffer, entry: TreeEntry): Promise<Level> {
    const directory = await above.enter(name);
    this.#bearer = { fd: directory.fd, names: 0 };
    return { name, directory, entry };
  }

  #remember(id: number, path: readonly Buffer[]): void {
    if (this.#linked.size >= MAX_LINKED) throw impossible("too many files with several names");
    this.#linked.set(id, path);
  }

  /** The file's first name is walked to anew: a name in the tree may be a link by now, if not the guest's. */
  async #link(id: number, at: Buffer): Promise<void> {
    const path = this.#linked.get(id);
    const name = path?.at(-1);
    if (path === undefined || name === undefined) throw impossible("a name of no file");
    const opened: OpenDirectory[] = [];
    try {
      let directory = this.#stage;
      for (const step of [TREE, ...path.slice(0, -1)]) {
        directory = await directory.enter(step);
        opened.push(directory);
      }
      await link(directory.at(name), at); // which does not follow links
    } finally {
      for (const directory of opened) await directory.close();
    }
  }

  /** A copy is one without those that its file system does not take. */
  #attribute(name: Buffer, value: Buffer): void {
    const bearer = this.#bearer;
    if (bearer === undefined) throw impossible("an attribute of nothing");
    bearer.names += name.length + 1;
    if (bearer.names > MAX_ATTRIBUTE_NAMES) throw impossible("attributes without an end");
    if (!ownSystem().files.setAttribute(bearer.fd, name, value)) this.count.attributesLeftOut++;
  }

  #openFile(): OpenFile {
    if (this.#file === undefined) throw impossible("content of no file");
    return this.#file;
  }

  async #write(file: OpenFile, bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      const { bytesWritten } = await file.handle.write(rest, 0, rest.length, file.at);
      file.at += bytesWritten;
      rest = rest.subarray(bytesWritten);
    }
    file.written = file.at;
    this.count.bytes += bytes.length;
  }

  async #endFile(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    const { handle, entry } = file;
    if (file.at > file.written) await handle.truncate(file.at);
    await handle.chmod(entry.mode & 0o777);
    setTime(handle.fd, entry.mtimeNs);
    this.#file = undefined;
    await handle.close();
  }

  /** Ends directories until so many are open. */
  async #leaveTo(depth: number): Promise<void> {
    while (this.#levels.length > depth) {
      const last = this.#levels.pop();
      if (last === undefined) return;
      const { directory, entry } = last;
      try {
        // Its owner must be able to move and remove what is in it.
        await directory.chmod(entry.mode & 0o777 | 0o700);
        setTime(directory.fd, entry.mtimeNs);
      } finally {
        await directory.close();
      }
    }
  }
}

/** The names from the root to the entry. @throws SbxError PROTOCOL for what is no name */
function stepsOf(name: Buffer): Buffer[] {
  const steps: Buffer[] = [];
  for (let from = 0; from < name.length;) {
    const slash = name.indexOf(SLASH, from);
    const end = slash < 0 ? name.length : slash;
    const step = name.subarray(from, end);
    const text = step.toString("latin1");
    if (text === "" || text === "." || text === ".." || slash === name.length - 1) {
      throw impossible("a name that leads elsewhere");
    }
    steps.push(step);
    from = end + 1;
  }
  return steps;
}

function impossible(what: string): SbxError {
  return new SbxError("PROTOCOL", `Cannot follow the guest's agent: it sent a tree with ${what}`);
}

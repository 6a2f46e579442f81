/**
 * Both sides of changed files, for who wants to read them. Large ones are left out: whoever reads has an end.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { setImmediate as turn } from "node:timers/promises";
import { systemCode } from "../../base/file_error.ts";
import type { OpenTree } from "../../host/open_tree.ts";
import type { Change, Changes } from "./change.ts";
import type { FoundChange } from "./compare.ts";
import { patchOf } from "./patch.ts";
import { inMemory, takeFiles, type Taking } from "./taken.ts";

/** Of each side of a file, and of all of them. */
const MAX_TEXT_BYTES = 512 * 1024;
const MAX_ALL_BYTES = 64 << 20;

/** A change with what its files hold; a side that is no file, or is not shown, has none. */
export interface ChangedTexts {
  readonly change: Change;
  readonly before?: Uint8Array;
  readonly after?: Uint8Array;
}

/** All that differs, with texts. */
export interface TextChanges {
  readonly changes: readonly ChangedTexts[];
  /** That of {@link Changes}. */
  readonly digest: string;
}

export class TextsOfChanges {
  readonly #before = new Map<FoundChange, Buffer>();
  readonly #after = new Map<FoundChange, Buffer>();
  #bytes = 0;

  async read(
    changes: readonly FoundChange[],
    tree: OpenTree,
    taking: () => Taking,
  ): Promise<void> {
    const shown = changes.filter((change) => this.#hasRoom(change));
    for (const change of shown) {
      const text = change.before?.kind === "file" ? await textHere(change, tree) : undefined;
      if (text !== undefined) this.#before.set(change, text);
    }
    const files = shown.filter(({ after }) => after?.kind === "file");
    if (files.length === 0) return;
    const others = await takeFiles(files, inMemory(this.#after), taking());
    for (const change of others) this.#after.delete(change);
  }

  of(change: FoundChange): Pick<ChangedTexts, "before" | "after"> {
    const [before, after] = [this.#before.get(change), this.#after.get(change)];
    const isShown = (change.before?.kind !== "file" || before !== undefined) &&
      (change.after?.kind !== "file" || after !== undefined);
    return {
      ...(isShown && before !== undefined ? { before } : {}),
      ...(isShown && after !== undefined ? { after } : {}),
    };
  }

  #hasRoom({ before, after, kind }: FoundChange): boolean {
    if (kind === "mode" || kind === "type" || (before?.kind !== "file" && after?.kind !== "file")) {
      return false;
    }
    const sizes = [before?.size ?? 0, after?.size ?? 0];
    const whole = sizes.reduce((sum, size) => sum + size, 0);
    if (sizes.some((size) => size > MAX_TEXT_BYTES) || this.#bytes + whole > MAX_ALL_BYTES) {
      return false;
    }
    this.#bytes += whole;
    return true;
  }
}

/** All of them, each text with its patch. */
export async function withPatches({ changes, digest }: TextChanges): Promise<Changes> {
  const patched: Change[] = [];
  for (const { change, ...sides } of changes) {
    const patch = patchOf(change, sides);
    await turn();
    patched.push(patch === undefined ? change : { ...change, patch });
  }
  return { changes: patched, digest };
}

/** Undefined for what is not the file any more that was looked at. */
async function textHere(
  { path, before }: FoundChange,
  tree: OpenTree,
): Promise<Buffer | undefined> {
  const place = await tree.place(path);
  if (place === null) return undefined;
  try {
    const file = await place.directory.read(place.name);
    try {
      const room = Buffer.alloc(before?.size ?? 0);
      const { bytesRead } = await file.read(room, 0, room.length, 0);
      return room.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}

/**
 * What a guest changed in copies, as a program asks for it: the same of every sandbox.
 *
 * @module
 */
import { flag, misuse, optionsOf } from "../base/misuse.ts";
import type {
  ApplyChangesOptions,
  ApplyReport,
  Changes,
  ChangeSelection,
} from "../sandbox/changes/change.ts";
import type { SupervisorClient } from "../supervise/client.ts";
import type { Abortable } from "./abortable.ts";

/** What of the changes is wanted. */
export interface DiffOptions extends ChangeSelection, Abortable {
  /** True: changed texts of up to 512 KiB have a `patch`. False when absent. */
  readonly patch?: boolean;
}

/** What of the changes is taken over. */
export interface ApplyOptions extends ApplyChangesOptions, Abortable {}

/** Who asks the guest. */
type Asking = Pick<SupervisorClient, "diff" | "apply">;

/** A sandbox whose directories can be copies. */
export abstract class SandboxChanges {
  /** @internal `doing` completes "Cannot …". @throws SbxError `STOPPED` */
  protected abstract readonly changing: (doing: string) => Asking;

  /**
   * What the guest changed in directories that are mounted as copies (`{ as: "copy" }`), held against what is here
   * now. The guest is asked, and need not tell the truth; nothing is changed by it.
   *
   * @throws SbxError `STOPPED`, `USAGE` where no directory is mounted so, `FILE_NOT_FOUND` for a directory that is not
   * the same any more, `FILE_TOO_LARGE` for more than 500,000 changes, `PROTOCOL`, and the signal's reason
   */
  async diff(options: DiffOptions = {}): Promise<Changes> {
    const known = { paths: true, patch: true, signal: true } as const;
    const { paths = [], patch = false, signal } = optionsOf("diff(…)", options, known);
    flag("diff(…)", patch);
    requireTexts("diff(…)", paths);
    return await this.changing("look for changes in").diff(paths, patch, signal);
  }

  /**
   * Takes over what the guest changed in copies, path by path, each whole or not at all. What is held
   * back (`Change.held`) needs a word of yours; set-user-ID, set-group-ID, owners and times of the guest's are never
   * taken over. What became of each path is in the answer, failures included.
   *
   * @throws SbxError `CHANGES_MOVED` for a `digest` of other changes, when nothing is taken over; `FILE_NOT_FOUND` for
   * paths where nothing changed, `FILE_NO_SPACE` and the like before anything is; and as `diff`
   */
  async apply(options: ApplyOptions = {}): Promise<ApplyReport> {
    const { signal, ...rest } = optionsOf("apply(…)", options, {
      ...{ paths: true, dryRun: true, force: true, includeUnsafe: true, digest: true },
      signal: true,
    });
    for (const each of [rest.dryRun, rest.force, rest.includeUnsafe]) {
      flag("apply(…)", each ?? false);
    }
    requireTexts("apply(…)", rest.paths ?? []);
    requireTexts("apply(…)", [rest.digest ?? ""]);
    return await this.changing("apply changes of").apply(rest, signal);
  }
}

function requireTexts(call: string, texts: unknown): void {
  if (Array.isArray(texts) && texts.every((text) => typeof text === "string")) return;
  throw misuse(call, "paths are a list of texts, and a digest is a text");
}

/**
 * The copies that a sandbox was given of directories: what the guest changed in them, and how that is taken over.
 * One thing at a time.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import { flag, optionsOf } from "../../base/misuse.ts";
import { OpenDirectory } from "../../host/open_directory.ts";
import { OpenTree } from "../../host/open_tree.ts";
import { withStage } from "../../host/stage.ts";
import { type FileAccess, FileOperation } from "../file_operation.ts";
import { hostFileError } from "../host_file_error.ts";
import { identityOf, type KeptBase, stampOf } from "./base_tree.ts";
import type {
  ApplyChangesOptions,
  ApplyReport,
  Change,
  Changes,
  ChangeSelection,
  FailedChange,
} from "./change.ts";
import { choose, digestOf, isMeant, meantOf, namedPaths } from "./choose.ts";
import { commit } from "./commit.ts";
import { compare, type FoundChange } from "./compare.ts";
import { readReported } from "./reported.ts";
import { type ChangedTexts, TextsOfChanges } from "./texts.ts";
import { inStage, takeFiles } from "./taken.ts";

/** A directory of this machine, and where the guest has its copy. */
export interface GivenCopy {
  readonly host: string;
  readonly guest: string;
  readonly base: KeptBase;
  /** Other mounts of the guest in it, below the copy. */
  readonly mounted: readonly string[];
}

export interface CopiesSpec extends FileAccess {
  readonly copies: readonly GivenCopy[];
  /** Keeps what is known of the directories here, where that outlives this process. */
  readonly keep: () => Promise<void>;
}

/** One copy with what is different in it. */
interface Looked {
  readonly copy: GivenCopy;
  readonly changes: readonly FoundChange[];
}

export class Copies {
  readonly #spec: CopiesSpec;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(spec: CopiesSpec) {
    this.#spec = spec;
  }

  /** @throws SbxError as `NamedSandbox.diff` */
  async diff(selection: ChangeSelection, signal?: AbortSignal): Promise<Changes> {
    const { paths } = optionsOf("diff(…)", selection, { paths: true });
    const named = namedPaths(paths);
    const looked = await this.#inTurn(() => this.#look(signal));
    const meant = looked.flatMap(({ changes }) => meantOf(changes, named));
    return { changes: meant.map(plain), digest: digestOf(meant) };
  }

  /** With the content of what is small enough to be read. @throws SbxError as {@link Copies.diff} */
  async *texts(
    selection: ChangeSelection,
    signal?: AbortSignal,
  ): AsyncGenerator<ChangedTexts, string> {
    const named = namedPaths(selection.paths);
    const { meant, texts } = await this.#inTurn(async () => {
      const looked = await this.#look(signal);
      const texts = new TextsOfChanges();
      const meant: FoundChange[] = [];
      for (const { copy, changes } of looked) {
        const own = meantOf(changes, named);
        meant.push(...own);
        await this.#withTree(
          copy,
          async (tree) => await texts.read(own, tree, () => this.#taking(copy, signal)),
        );
      }
      return { meant, texts };
    });
    for (const change of meant) yield { change: plain(change), ...texts.of(change) };
    return digestOf(meant);
  }

  #taking({ guest }: GivenCopy, signal: AbortSignal | undefined): FileOperation {
    return new FileOperation(this.#spec, { method: "take", path: guest }, signal);
  }

  /** @throws SbxError as `NamedSandbox.apply` */
  async apply(options: ApplyChangesOptions, signal?: AbortSignal): Promise<ApplyReport> {
    const known = { paths: true, dryRun: true, force: true, includeUnsafe: true, digest: true };
    const { paths, digest, dryRun = false, ...overrules } = optionsOf(
      "apply(…)",
      options,
      known as { readonly [Name in keyof ApplyChangesOptions]-?: true },
    );
    for (const each of [dryRun, overrules.force ?? false, overrules.includeUnsafe ?? false]) {
      flag("apply(…)", each);
    }
    const named = namedPaths(paths);
    return await this.#inTurn(async () => {
      const looked = await this.#look(signal);
      const meant = looked.flatMap(({ changes }) => meantOf(changes, named));
      if (digest !== undefined && digest !== digestOf(meant)) throw moved();
      for (const path of named) {
        if (!meant.some((change) => isMeant(change, [path]))) throw unchanged(path);
      }
      const report = {
        applied: [] as Change[],
        held: [] as Change[],
        failed: [] as FailedChange[],
      };
      for (const { copy, changes } of looked) {
        const { chosen, held } = choose(changes, overrules, named);
        report.held.push(...held.map(plain));
        if (dryRun) report.applied.push(...chosen.map(plain));
        else if (chosen.length > 0) {
          const isExact = digest !== undefined;
          const { applied, failed } = await this.#takeOver(copy, chosen, isExact, signal);
          report.applied.push(...applied.map(plain));
          report.failed.push(...failed.map((each) => ({ ...each, change: plain(each.change) })));
        }
      }
      return report;
    });
  }

  async #look(signal: AbortSignal | undefined): Promise<Looked[]> {
    const { copies } = this.#spec;
    if (copies.length === 0) {
      throw new SbxError(
        "USAGE",
        "Cannot look for changes: no directory is mounted as a copy in the sandbox",
        { hint: "mount one with :copy, as in -v .:/work:copy" },
      );
    }
    const looked: Looked[] = [];
    for (const copy of copies) {
      const operation = new FileOperation(
        this.#spec,
        { method: "changes", path: copy.guest, digests: true },
        signal,
      );
      const reported = await readReported(operation.stream());
      const changes = await this.#withTree(copy, async (tree) =>
        await compare(reported, {
          tree,
          host: copy.host,
          guest: copy.guest,
          base: copy.base.tree,
          mounted: copy.mounted,
        }, signal));
      looked.push({ copy, changes });
    }
    return looked;
  }

  /** `isExact`: what is not as it was looked at, has nothing taken over at all. */
  async #takeOver(
    copy: GivenCopy,
    chosen: readonly FoundChange[],
    isExact: boolean,
    signal: AbortSignal | undefined,
  ) {
    return await this.#withTree(copy, async (tree) =>
      await withStage(tree.top, async (stage) => {
        const files = chosen.filter(({ after, kind }) => after?.kind === "file" && kind !== "mode");
        const others = files.length === 0 ? new Set() : await takeFiles(
          files,
          inStage(stage),
          this.#taking(copy, signal),
        );
        if (isExact && others.size > 0) throw moved();
        signal?.throwIfAborted();
        // What is removed here may be what the guest has elsewhere, in a file that did not come.
        const isLeft = (change: FoundChange) =>
          others.has(change) || (others.size > 0 && change.kind === "deleted");
        const staged = new Map(files.map((file, at) => [file, Buffer.from(String(at))]));
        const { applied, failed } = await commit(
          chosen.filter((change) => !isLeft(change)),
          { tree, stage, staged },
        );
        await this.#remember(copy, tree, applied);
        const late = chosen.filter(isLeft).map((change) => ({
          change,
          message: others.has(change)
            ? "the guest has changed it since it was looked at"
            : "nothing is removed while something else did not come",
        }));
        return { applied, failed: [...failed, ...late] };
      }));
  }

  /** What was taken over is what the guest has been given, from here on. */
  async #remember(
    { base }: GivenCopy,
    tree: OpenTree,
    applied: readonly FoundChange[],
  ): Promise<void> {
    if (applied.length === 0) return;
    for (const { path } of applied) {
      const here = await tree.find(path);
      if (here === null) base.tree.delete(path);
      else base.tree.set(path, stampOf(here));
    }
    await this.#spec.keep();
  }

  async #withTree<T>(copy: GivenCopy, use: (tree: OpenTree) => Promise<T>): Promise<T> {
    const doing = `look for changes of ${escapeText(copy.host)}`;
    try {
      const tree = new OpenTree(await OpenDirectory.open(copy.host));
      try {
        const own = await tree.top.find(Buffer.from("."));
        if (own === null || identityOf(own) !== copy.base.identity) {
          throw new SbxError(
            "FILE_NOT_FOUND",
            `Cannot ${doing}: it is not the directory any more that the guest was given`,
            { hint: "copy what is wanted with 'sbx cp'" },
          );
        }
        return await use(tree);
      } finally {
        await tree.close();
      }
    } catch (error) {
      throw hostFileError(doing, error);
    }
  }

  async #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(act);
    this.#turn = turn.catch(() => {});
    return await turn;
  }
}

/** Without what is this process's own. */
function plain({ stamp: _, against: __, ...change }:
  | FoundChange
  | Change & {
    readonly stamp?: unknown;
    readonly against?: unknown;
  }): Change {
  return change;
}

function moved(): SbxError {
  return new SbxError(
    "CHANGES_MOVED",
    "Cannot apply the changes: they are not those any more that were looked at",
    { hint: "look at them again with 'sbx diff'" },
  );
}

function unchanged(path: string): SbxError {
  return new SbxError("FILE_NOT_FOUND", `Cannot apply ${escapeText(path)}: nothing changed there`, {
    hint: "name a path that 'sbx diff' shows",
  });
}

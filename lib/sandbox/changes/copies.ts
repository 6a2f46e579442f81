/**
 * The copies that a sandbox was given of directories: what the guest changed in them, and how that is taken over.
 * One thing at a time.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import { OpenDirectory } from "../../host/open_directory.ts";
import { OpenTree } from "../../host/open_tree.ts";
import { withStage } from "../../host/stage.ts";
import { type FileAccess, FileOperation } from "../file_operation.ts";
import { hostFileError } from "../host_file_error.ts";
import { identityOf, type KeptBase } from "./base_tree.ts";
import type {
  ApplyChangesOptions,
  ApplyReport,
  Change,
  Changes,
  ChangeSelection,
  FailedChange,
} from "./change.ts";
import { choose, digestOf, isMeant, meantOf, namedPaths } from "./choose.ts";
import { commit, type Committed, NOT_REMOVED } from "./commit.ts";
import { compare, type FoundChange } from "./compare.ts";
import { readReported } from "./reported.ts";
import { type TextChanges, TextsOfChanges } from "./texts.ts";
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

/** What is to be taken over of one copy. */
interface Wanted {
  readonly copy: GivenCopy;
  readonly chosen: readonly FoundChange[];
}

/** The same, when its files have come. */
interface Staged extends Wanted {
  readonly files: readonly FoundChange[];
  /** Those that are not what was looked at. */
  readonly others: ReadonlySet<FoundChange>;
  readonly tree: OpenTree;
  readonly stage: OpenDirectory;
}

export class Copies {
  readonly #spec: CopiesSpec;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(spec: CopiesSpec) {
    this.#spec = spec;
  }

  /** @throws SbxError as `NamedSandbox.diff` */
  async diff(selection: ChangeSelection, signal?: AbortSignal): Promise<Changes> {
    const named = namedPaths(selection.paths);
    const looked = await this.#inTurn(() => this.#look(signal));
    const meant = looked.flatMap(({ changes }) => meantOf(changes, named));
    return { changes: meant.map(plain), digest: await digestOf(meant) };
  }

  /** With the content of what is small enough to be read. @throws SbxError as {@link Copies.diff} */
  async texts(selection: ChangeSelection, signal?: AbortSignal): Promise<TextChanges> {
    const named = namedPaths(selection.paths);
    return await this.#inTurn(async () => {
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
      return {
        changes: meant.map((change) => ({ change: plain(change), ...texts.of(change) })),
        digest: await digestOf(meant),
      };
    });
  }

  #taking({ guest }: GivenCopy, signal: AbortSignal | undefined): FileOperation {
    return new FileOperation(this.#spec, { method: "take", path: guest }, signal);
  }

  /** @throws SbxError as `NamedSandbox.apply` */
  async apply(options: ApplyChangesOptions, signal?: AbortSignal): Promise<ApplyReport> {
    const { paths, digest, dryRun = false, ...overrules } = options;
    const named = namedPaths(paths);
    return await this.#inTurn(async () => {
      const looked = await this.#look(signal);
      const meant = looked.flatMap(({ changes }) => meantOf(changes, named));
      if (digest !== undefined && digest !== await digestOf(meant)) throw moved();
      for (const path of named) {
        if (!meant.some((change) => isMeant(change, [path]))) throw unchanged(path);
      }
      const report = {
        applied: [] as Change[],
        held: [] as Change[],
        failed: [] as FailedChange[],
      };
      const wanted: Wanted[] = [];
      for (const { copy, changes } of looked) {
        const { chosen, held } = choose(changes, overrules, named);
        report.held.push(...held.map(plain));
        if (dryRun) report.applied.push(...chosen.map(plain));
        else if (chosen.length > 0) wanted.push({ copy, chosen });
      }
      for (
        const { applied, failed } of await this.#takeOver(wanted, digest !== undefined, signal)
      ) {
        report.applied.push(...applied.map(plain));
        report.failed.push(...failed.map((each) => ({ ...each, change: plain(each.change) })));
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

  /**
   * Everything has come before anything is taken over. `isExact`: where something is not as it was looked at, that is
   * nothing at all.
   */
  async #takeOver(
    wanted: readonly Wanted[],
    isExact: boolean,
    signal: AbortSignal | undefined,
  ): Promise<readonly Pick<Committed, "applied" | "failed">[]> {
    return await this.#staged(wanted, signal, async (staged) => {
      if (isExact && staged.some(({ others }) => others.size > 0)) throw moved();
      signal?.throwIfAborted();
      const done: Pick<Committed, "applied" | "failed">[] = [];
      for (const each of staged) done.push(await this.#commit(each));
      return done;
    });
  }

  /** Calls `use` while what is wanted stands beside the directories that it is for. */
  async #staged<T>(
    [first, ...rest]: readonly Wanted[],
    signal: AbortSignal | undefined,
    use: (staged: readonly Staged[]) => Promise<T>,
  ): Promise<T> {
    if (first === undefined) return await use([]);
    const { copy, chosen } = first;
    const files = chosen.filter(({ after, kind }) => after?.kind === "file" && kind !== "mode");
    const act = async (tree: OpenTree) =>
      await withStage(tree.top, async (stage) => {
        const others = files.length === 0
          ? new Set<FoundChange>()
          : await takeFiles(files, inStage(stage), this.#taking(copy, signal), signal);
        const own = { ...first, files, others, tree, stage };
        return await this.#staged(rest, signal, (more) => use([own, ...more]));
      });
    return await this.#withTree(copy, act, `apply changes to ${escapeText(copy.host)}`);
  }

  async #commit(
    { copy, chosen, files, others, tree, stage }: Staged,
  ): Promise<Pick<Committed, "applied" | "failed">> {
    const isLeft = (change: FoundChange) =>
      others.has(change) ||
      (others.size > 0 && (change.kind === "deleted" || change.kind === "type"));
    const staged = new Map(files.map((file, at) => [file, Buffer.from(String(at))]));
    const committed = await commit(chosen.filter((change) => !isLeft(change)), {
      tree,
      stage,
      staged,
    });
    await this.#remember(copy, committed);
    const late = chosen.filter(isLeft).map((change) => ({
      change,
      message: others.has(change) ? "the guest has changed it since it was looked at" : NOT_REMOVED,
    }));
    return { applied: committed.applied, failed: [...committed.failed, ...late] };
  }

  /** What was taken over is what the guest has been given, from here on. */
  async #remember({ base }: GivenCopy, { applied, stamps }: Committed): Promise<void> {
    if (applied.length === 0) return;
    for (const change of applied) {
      const stamp = stamps.get(change) ?? null;
      if (stamp === null) base.tree.delete(change.path);
      else base.tree.set(change.path, stamp);
    }
    await this.#spec.keep();
  }

  async #withTree<T>(
    copy: GivenCopy,
    use: (tree: OpenTree) => Promise<T>,
    doing = `look for changes of ${escapeText(copy.host)}`,
  ): Promise<T> {
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

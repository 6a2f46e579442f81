/**
 * Which changes are not taken over unless somebody says so. Pure.
 *
 * @module
 */
import type { Change, HeldReason } from "./change.ts";
import { executedBy, isBelowGit, isHead, isOnlyAbove } from "./executed.ts";
import { leadsOut } from "./link_target.ts";

/** Larger files are copied by name: 64 GiB. */
const MAX_FILE_BYTES = 64 * 1024 ** 3;

/** What is known beside the change itself. */
export interface Circumstances {
  /** What is here is not what the guest was given. */
  readonly isConflict: boolean;
  /** The guest was given something there. */
  readonly isGiven: boolean;
  /** Whether a directory above is a repository's own. */
  readonly isRepository: (path: string) => boolean;
  /** It is a part of a repository that the guest has no more. */
  readonly isOfLostRepository: boolean;
  /** What the system says of the path, where it cannot be looked at here. */
  readonly unseen?: string;
}

/** A reason, and the same in words. */
export interface Reason {
  readonly held: HeldReason;
  readonly why: string;
}

/** All that speaks against a change, each of which has a word of its own to overrule it, but for what is special. */
export interface Reasons {
  readonly special?: Reason;
  readonly conflict?: Reason;
  readonly unsafe?: Reason;
}

export function reasonsAgainst(change: Change, circumstances: Circumstances): Reasons {
  const special = circumstances.unseen ?? specialState(change.before, change.after);
  if (special !== undefined) return { special: { held: "special", why: special } };
  const unsafe = unsafeState(change, circumstances);
  return {
    ...(circumstances.isConflict ? { conflict: conflictOf(change, circumstances) } : {}),
    ...(unsafe === undefined ? {} : { unsafe }),
  };
}

function conflictOf({ before, kind }: Change, { isGiven }: Circumstances): Reason {
  const why = before === undefined
    ? "it is not here any more"
    : !isGiven
    ? "what is here is not known to be what the guest began with"
    : kind === "deleted"
    ? "it was changed here since"
    : "it was changed here as well";
  return { held: "conflict", why };
}

function unsafeState(change: Change, circumstances: Circumstances): Reason | undefined {
  const { path, after } = change;
  const user = executedBy(path, circumstances.isRepository);
  if (user !== undefined && !isHarmlessAbove(change)) {
    return { held: "executed", why: `${user} would run or obey it here` };
  }
  if (makesRepository(change)) {
    return { held: "executed", why: "git could take the directory for a repository, and obey it" };
  }
  if (circumstances.isOfLostRepository) {
    return { held: "executed", why: "git would find no repository here any more" };
  }
  if (after?.kind !== "symlink" || !leadsOut(path, after.target ?? "")) return undefined;
  return { held: "outside", why: "the link leads out of the directory" };
}

/** A directory, as it was or as it will be, and no file that led elsewhere. */
function isHarmlessAbove({ path, kind, before, after }: Change): boolean {
  return isOnlyAbove(path) && (after?.kind === "directory" || kind === "deleted") &&
    (before === undefined || before.kind === "directory");
}

/** The rest of one may have come before, or come later. Below ".git" nothing depends on it. */
function makesRepository({ path, kind, after }: Change): boolean {
  return (kind === "added" || kind === "type") && after?.kind !== "directory" && isHead(path) &&
    !isBelowGit(path);
}

function specialState(before: Change["before"], after: Change["after"]): string | undefined {
  if (after?.kind === "other") return "neither a file, a directory nor a link";
  if (before?.kind === "other") return "here it is neither a file, a directory nor a link";
  if (after?.kind === "file" && after.size > MAX_FILE_BYTES) return "larger than 64 GiB";
  return undefined;
}

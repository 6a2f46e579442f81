/**
 * What a release is of.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

export interface Release {
  /** The repository. */
  readonly root: string;
  readonly version: string;
  readonly commit: string;
  /** Seconds since 1970 of the commit, which every file of the release has as its own time. */
  readonly time: number;
  /** What this version changes, in Markdown. */
  readonly notes: string;
}

const VERSION = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?$/;

/** @throws Error that names what has to be done before the version can be released */
export function readRelease(root: string, version: string, mayBeDirty: boolean): Release {
  if (!VERSION.test(version)) throw refusal(version, "it is no version", "write it like 0.2.0");
  const { version: written } = JSON.parse(readFileSync(`${root}/deno.json`, "utf8")) as {
    readonly version: string;
  };
  if (version.split("-")[0] !== written) {
    throw refusal(version, `deno.json says ${written}`, "change the version there, and commit it");
  }
  const git = (...argv: string[]) =>
    execFileSync("git", argv, { cwd: root, encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain");
  if (changed !== "" && !mayBeDirty) {
    throw refusal(version, `files are not committed:\n${changed}`, "commit or remove them");
  }
  return {
    root,
    version,
    commit: git("rev-parse", "HEAD"),
    time: Number(git("log", "-1", "--format=%ct")),
    notes: notesOf(readFileSync(`${root}/CHANGELOG.md`, "utf8"), version),
  };
}

/** The section of the changelog; a pre-release takes what is not released yet. */
export function notesOf(changelog: string, version: string): string {
  const sections = changelog.split(/^## /m).slice(1);
  const titled = (title: string) => sections.find((text) => text.split(/\s/, 1)[0] === title);
  const section = titled(version) ?? (version.includes("-") ? titled("Unreleased") : undefined);
  if (section === undefined) {
    throw refusal(
      version,
      "CHANGELOG.md has no section of it",
      "name the section of what is new so",
    );
  }
  return `${section.slice(section.indexOf("\n") + 1).trim()}\n`;
}

function refusal(version: string, state: string, hint: string): Error {
  return new Error(`Cannot release ${version}: ${state}\nhint: ${hint}`);
}

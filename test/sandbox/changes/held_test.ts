/** What of a guest's changes is held back until somebody says a word, and what counts as one. */
import { beforeEach, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OpenDirectory } from "../../../lib/host/open_directory.ts";
import { OpenTree } from "../../../lib/host/open_tree.ts";
import { walkBase } from "../../../lib/sandbox/changes/base_walk.ts";
import type { ApplyChangesOptions } from "../../../lib/sandbox/changes/change.ts";
import { compare } from "../../../lib/sandbox/changes/compare.ts";
import { readReported } from "../../../lib/sandbox/changes/reported.ts";
import {
  applied,
  copiesOf,
  directory,
  gone,
  type Lies,
  link,
  listOf,
  ownDirectory,
  plant,
  plantTop,
  stateOf,
  type Tale,
  told,
  toldGuest,
  whole,
} from "./told_guest.ts";

const base = ownDirectory();

let home: string;
let top: string;
beforeEach(() => {
  ({ home, top } = plantTop(base));
});

const apply = (tale: Tale, options?: ApplyChangesOptions, lies?: Lies) =>
  applied(top, tale, options, lies);

const HELD: readonly (readonly [name: string, tale: Tale, held: readonly string[]])[] = [
  ["what git runs", {
    ".git": whole,
    ".git/HEAD": "ref",
    ".git/config": "[core]",
    ".git/hooks": whole,
    ".git/hooks/pre-commit": "sh",
  }, ["executed .git/config", "executed .git/hooks", "executed .git/hooks/pre-commit"]],
  ["a repository of another name", {
    bare: whole,
    "bare/HEAD": "ref",
    "bare/config": "[core]",
  }, ["executed bare/HEAD", "executed bare/config"]],
  ["a repository in the directory itself", {
    HEAD: "ref",
    config: "[core]",
    hooks: whole,
    objects: whole,
    refs: whole,
  }, ["executed HEAD", "executed config", "executed hooks"]],
  ["what makes a repository of what came before", { src: directory, "src/head": "ref" }, [
    "executed src/head",
  ]],
  ["a repository among the branches of another", {
    ".git": whole,
    ".git/refs": whole,
    ".git/refs/x": whole,
    ".git/refs/x/.git": whole,
    ".git/refs/x/.git/hooks": whole,
    ".git/hooks": whole,
    ".git/hooks/HEAD": "ref",
    ".git/hooks/pre-commit": "sh",
  }, [
    ...["executed .git/hooks", "executed .git/hooks/HEAD", "executed .git/hooks/pre-commit"],
    "executed .git/refs/x/.git/hooks",
  ]],

  ["what has the name of a copy under way, which sbx could take for its own", {
    ".sbx-copy-0": "mine",
    ".sbx-copy-1": gone,
    src: directory,
    "src/.sbx-copy-2": whole,
    "src/.sbx-copy-2/in": "mine",
  }, [
    ...["special .sbx-copy-0", "special .sbx-copy-1", "special src/.sbx-copy-2"],
    "special src/.sbx-copy-2/in",
  ]],

  ["a file that says where a repository is", { ".git": "gitdir: elsewhere" }, ["executed .git"]],
  ["what a shell runs that enters", { ".envrc": "rm" }, ["executed .envrc"]],
  ["the same in other letters", { ".ENVRC": "rm" }, ["executed .ENVRC"]],
  ["the same in letters that fold", {
    ".git": whole,
    ".git/con\ufb01g": "[core]",
    ".git/hook\u017f": whole,
    ".g\u200cit": "gitdir: elsewhere",
  }, ["executed .git/con\ufb01g", "executed .git/hook\u017f", "executed .g\u200cit"]],
  ["what coding agents obey", {
    ".github": whole,
    ".github/copilot-instructions.md": "obey",
    ".github/prompts": whole,
    "AGENTS.md": "obey",
    "opencode.json": "obey",
  }, [
    ...["executed .github/copilot-instructions.md", "executed .github/prompts"],
    ...["executed AGENTS.md", "executed opencode.json"],
  ]],
  ["what interpreters run that start there", {
    ".Rprofile": "obey",
    ".iex.exs": "obey",
    ".irbrc": "obey",
    ".pdbrc": "obey",
    ".rvmrc": "obey",
  }, [
    "executed .Rprofile",
    "executed .iex.exs",
    "executed .irbrc",
    "executed .pdbrc",
    "executed .rvmrc",
  ]],
  ["hooks of other version control", { ".sl": whole, ".sl/config": "obey", _darcs: whole }, [
    ...["executed .sl", "executed .sl/config", "executed _darcs"],
  ]],
  [
    "what a package manager runs",
    { ".yarn": whole, ".yarn/releases": whole, ".yarn/cache": whole },
    [
      "executed .yarn/releases",
    ],
  ],
  ["a name that this machine cannot have", { ["x".repeat(300)]: "there", other: "there" }, [
    `special ${"x".repeat(300)}`,
  ]],
  ["links that lead out", {
    a: link("/etc/passwd"),
    b: link("../secret"),
    c: link("src/../../secret"),
    src: directory,
    "src/d": link("../../secret"),
  }, ["outside a", "outside b", "outside c", "outside src/d"]],
  ["devices and pipes", { pipe: { type: "other" } }, ["special pipe"]],
  ["a file of more than 64 GiB", {
    large: { type: "file", size: 64 * 1024 ** 3 + 1 },
  }, ["special large"]],
];

/** What a tale has beside directories that are here as well. */
const isNews = (path: string) => path !== "src";

test.each(HELD)("%s is held back", async (_, tale, held) => {
  const before = stateOf(top);
  const report = await apply(tale);
  expect(report.held).toEqual([...held]);
  const paths = (lines: readonly string[]) =>
    lines.map((line) => line.slice(line.indexOf(" ") + 1));
  const came = paths(report.applied);
  expect([...came, ...paths(held)].sort()).toEqual(Object.keys(tale).filter(isNews).sort());
  const there = new Set(stateOf(top).map((line) => line.replace(/\/$|: .*$| → .*$/, "")));
  for (const path of paths(held)) expect(there).not.toContain(path);
  expect(there).toEqual(new Set([...before.map((line) => line.replace(/\/$|: .*$/, "")), ...came]));
  if (report.applied.length === 0) expect(stateOf(top)).toEqual(before);
  expect(readFileSync(join(home, "secret"), "utf8")).toBe("secret");
});

test("what is unsafe is taken over when it is named, or a word is said", async () => {
  const tale = { ".envrc": "there", ".vscode": whole, ".vscode/tasks.json": "{}", other: "there" };
  expect(await apply(tale, { paths: ["/work"] })).toEqual({
    applied: ["added other"],
    held: ["executed .envrc", "executed .vscode", "executed .vscode/tasks.json"],
    failed: [],
  });
  expect((await apply(tale, { paths: [".envrc"] })).applied).toEqual(["added .envrc"]);
  expect((await apply(tale, { paths: ["/work/.vscode"] })).applied)
    .toEqual(["added .vscode", "added .vscode/tasks.json"]);
  expect((await apply({ ".npmrc": "there" }, { includeUnsafe: true })).applied)
    .toEqual(["added .npmrc"]);
});

const REPOSITORY = {
  HEAD: "ref: refs/heads/main",
  config: "[core]",
  "hooks/pre-commit": "sh",
  "objects/ab": "x",
  "refs/heads/main": "0",
};

const named = (at: string) =>
  Object.fromEntries(Object.entries(REPOSITORY).map(([path, text]) => [`${at}${path}`, text]));

test("a repository that is copied itself is one, however its directory is called", async () => {
  plant(top, REPOSITORY);
  const tale = { config: "evil", hooks: directory, "hooks/pre-commit": "evil", HEAD: "ref: x" };
  expect(await apply(tale)).toEqual({
    applied: ["modified HEAD"],
    held: ["executed config", "executed hooks/pre-commit"],
    failed: [],
  });
});

const LOST: readonly (readonly [name: string, at: string, tale: Tale])[] = [
  ["with its directory", ".git/", { ".git": gone }],
  ["with all that is in it", ".git/", { ".git": whole }],
  ["with another name", "bare/", { bare: gone }],
  ["for a file in its place", ".git/", { ".git": "gitdir: elsewhere" }],
];

test.each(LOST)("a repository that the guest removed %s stays whole", async (_, at, tale) => {
  plant(top, named(at));
  const before = stateOf(top);
  const report = await apply(tale);
  expect([report.applied, report.failed]).toEqual([[], []]);
  expect(report.held.every((line) => line.startsWith("executed "))).toBe(true);
  expect(stateOf(top)).toEqual(before);
  expect((await apply(tale, { includeUnsafe: true })).held).toEqual([]);
});

const LED: readonly (readonly [what: string, tale: Tale])[] = [
  ["removed", { ".git": gone }],
  ["replaced by a directory", { ".git": whole, ".git/HEAD": "ref" }],
];

test.each(LED)("a file that says where the repository is, and was %s, stays", async (_, tale) => {
  plant(top, { ".git": "gitdir: ../.git/worktrees/top" });
  expect((await apply(tale)).held[0]).toBe("executed .git");
  expect(readFileSync(join(top, ".git"), "utf8")).toBe("gitdir: ../.git/worktrees/top");
});

test("where the copy lies in the guest is no word for what is in it", async () => {
  const tale = { ".envrc": "there", other: "there" };
  for (const guest of ["/home/u/.local/app", "/work/.git", "/srv/.config"]) {
    const copies = await copiesOf(top, toldGuest(tale), guest);
    for (const paths of [[guest], ["/"], ["."], [guest, `${guest}/other`]]) {
      expect(told(await copies.apply({ dryRun: true, paths })).held).toEqual(["executed .envrc"]);
    }
    expect(told(await copies.apply({ dryRun: true, paths: [`${guest}/.envrc`] })).applied)
      .toEqual(["added .envrc"]);
  }
});

test("a directory's name is no word for what of it is run by itself", async () => {
  const tale = {
    ".git": whole,
    ".git/config": "x",
    ".git/hooks": whole,
    ".git/hooks/pre-commit": "sh",
    ".github": whole,
    ".github/workflows": whole,
    ".github/workflows/ci.yml": "on",
  };
  const dryRun = true;
  expect((await apply(tale, { dryRun, paths: [".git", "/work/.github"] })).held).toEqual([
    ...["executed .git/config", "executed .git/hooks", "executed .git/hooks/pre-commit"],
    ...["executed .github/workflows", "executed .github/workflows/ci.yml"],
  ]);
  expect((await apply(tale, { dryRun, paths: [".git/hooks", ".github/workflows"] })).held)
    .toEqual([]);
});

test("directories that are new come along with what is named in them", async () => {
  const tale = { ".github": whole, ".github/workflows": whole, ".github/workflows/ci.yml": "on" };
  expect(await apply(tale, { paths: [".github/workflows/ci.yml"] })).toEqual({
    applied: ["added .github", "added .github/workflows", "added .github/workflows/ci.yml"],
    held: [],
    failed: [],
  });
});

test("what depends on something that is held back is held back for the same reason", async () => {
  const tale = { ".git": whole, ".git/new": "x", src: whole };
  plant(top, { ".git": "gitdir: elsewhere", "src/.envrc": "here" });
  const { held } = await apply(tale);
  expect(held).toEqual(["executed .git", "executed .git/new", "executed src/.envrc"]);
  expect((await apply({ src: gone })).held).toEqual(["executed src", "executed src/.envrc"]);
});

test("a directory that comes along is shown, and stands in the digest", async () => {
  const tale = { file: whole, "file/a": "there", "file/b": "there" };
  const copies = await copiesOf(top, toldGuest(tale));
  const { changes, digest } = await copies.diff({ paths: ["file/a"] });
  expect(changes.map(({ kind, path }) => `${kind} ${path}`)).toEqual(["type file", "added file/a"]);
  writeFileSync(join(top, "file"), "me");
  await expect(copies.apply({ paths: ["file/a"], digest, force: true }))
    .rejects.toMatchObject({ code: "CHANGES_MOVED" });
  expect(readFileSync(join(top, "file"), "utf8")).toBe("me");
});

test("a directory that its owner could not change stays one that is told once", async () => {
  const tale = { new: { ...whole, mode: 0o555 }, src: { ...directory, mode: 0o555 } };
  expect((await apply(tale)).applied).toEqual(["added new"]);
  expect(statSync(join(top, "new")).mode & 0o777).toBe(0o755);
  expect((await (await copiesOf(top, toldGuest(tale))).diff({})).changes).toEqual([]);
  chmodSync(join(top, "src"), 0o700);
  expect((await apply(tale)).applied).toEqual(["mode src"]);
});

test.each<Tale>([
  { file: gone, moved: "here\n" },
  { file: link("src"), moved: "here\n" },
  { src: "here\n" },
])(
  "nothing is removed while what came in its place is not what was shown (%#)",
  async (tale) => {
    const before = stateOf(top);
    const { applied, failed } = await apply(tale, {}, {
      content: { moved: "evil\n", src: "evil\n" },
    });
    expect(applied).toEqual([]);
    expect(failed.length).toBeGreaterThan(1);
    expect(stateOf(top)).toEqual(before);
  },
);

/** A file system that knows no case; Linux has none that could be mounted wherever this runs. */
class Caseless extends OpenTree {
  override async directory(steps: readonly string[]) {
    const real: string[] = [];
    for (const step of steps) real.push(await this.#named(real, step));
    return await super.directory(real);
  }

  override async place(path: string) {
    const steps = path.split("/");
    const directory = await this.directory(steps.slice(0, -1));
    const name = await this.#named(steps.slice(0, -1), steps.at(-1) ?? "");
    return directory === null ? null : { directory, name: Buffer.from(name) };
  }

  async #named(above: readonly string[], step: string): Promise<string> {
    const names = (await super.directory(above))?.names() ?? [];
    const same = (name: Buffer) => name.toString().toLowerCase() === step.toLowerCase();
    return (await names).find(same)?.toString() ?? step;
  }
}

test("a new case of a name removes nothing where it is the same name", async () => {
  const tree = new Caseless(await OpenDirectory.open(top));
  const at = { tree, host: top, guest: "/work", mounted: [] };
  const compared = async (tale: Tale) => {
    const reported = await readReported(new Blob([Buffer.from(listOf(tale))]).stream());
    const { tree: base } = await walkBase(top);
    return (await compare(reported, { ...at, base })).map(({ kind, path }) => `${kind} ${path}`);
  };
  try {
    expect(await compared({ file: gone, FILE: "here\n", src: gone, Src: directory })).toEqual([]);
    expect(await compared({ file: gone, FILE: "there" })).toEqual(["modified FILE"]);
    expect(await compared({ file: gone, other: "there" })).toEqual(["deleted file", "added other"]);
  } finally {
    await tree.close();
  }
});

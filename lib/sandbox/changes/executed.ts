/**
 * Files that programs of this machine run, or obey, as soon as somebody looks into the directory: a guest that may
 * leave one there is out of its sandbox. What somebody starts on purpose, such as a Makefile or the scripts of a
 * package, is none of them: that is read before. Pure.
 *
 * @module
 */

/** In lower case, as a file system may fold it. What is below one of them counts as well. */
const NAMES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "git's hooks": [".githooks", ".husky"],
    "git": [".gitconfig", ".gitmodules"],
    "version control": [".hg", ".hgrc", "hgrc", ".sl", ".jj", ".bzr", "_darcs", ".pijul"],
    "hooks of commits": [
      ...[".pre-commit-config.yaml", ".pre-commit-hooks.yaml", ".overcommit.yml"],
      ...["lefthook.yml", "lefthook.yaml", "lefthook.toml", ".lefthook.yml", ".lefthook.yaml"],
    ],
    "shells": [
      ...[".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".profile"],
      ...[".zshrc", ".zshenv", ".zprofile", ".zlogin", ".zlogout", ".cshrc", ".tcshrc", ".kshrc"],
      ...[".inputrc", ".xprofile", ".xsessionrc", ".xinitrc", ".pam_environment"],
    ],
    "tools that follow the directory": [
      ...[".envrc", ".envrc.local", ".direnv", ".env"],
      ...[".autoenv", ".autoenv.zsh", ".autoenv_leave.zsh", ".env.zsh"],
      ...[".mise.toml", "mise.toml", ".mise.local.toml", "mise.local.toml", ".mise"],
      ...[".tool-versions", ".rtx.toml", ".devenv.nix", ".rvmrc"],
    ],
    "editors": [
      ...[".vscode", ".idea", ".fleet", ".zed", ".helix", ".vs", ".nova", ".settings"],
      ...[".devcontainer", ".devcontainer.json"],
      ...[".vimrc", ".exrc", ".nvimrc", ".nvim.lua", ".lvimrc", ".local.vimrc", ".vim"],
      ...[".dir-locals.el", ".dir-locals-2.el", ".emacs", ".emacs.d"],
    ],
    "coding agents": [
      ...[".claude", ".claude.json", ".mcp.json", ".cursor", ".cursorrules", ".codex", ".gemini"],
      ...[".windsurf", ".windsurfrules", ".continue", ".aider.conf.yml", ".aider", ".opencode"],
      ...["agents.md", "claude.md", "claude.local.md", "gemini.md", ".clinerules"],
      ...[".roo", ".roorules", ".kiro", ".junie", ".trae", ".qwen", ".kilocode", ".augment"],
      ...["agents.override.md", "opencode.json", "opencode.jsonc", "crush.json", ".crush.json"],
      ...[".goosehints"],
    ],
    "continuous integration": [
      ...[".gitlab-ci.yml", ".gitlab-ci.yaml", ".travis.yml", ".circleci", ".buildkite"],
      ...[".drone.yml", ".drone.yaml", ".woodpecker", ".woodpecker.yml", ".woodpecker.yaml"],
      ...["jenkinsfile", "azure-pipelines.yml", "azure-pipelines.yaml", "bitbucket-pipelines.yml"],
      ...["appveyor.yml", ".appveyor.yml", ".cirrus.yml", ".semaphore", ".teamcity"],
    ],
    "package managers": [
      ...[".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", ".pnp.cjs", ".pnp.loader.mjs"],
      ...["pip.conf", ".pypirc", ".gemrc", ".cargo", ".bundle", ".condarc"],
    ],
    "debuggers": [".gdbinit", ".lldbinit", ".pdbrc", ".perldb"],
    "interpreters that start there": [
      ...[".rprofile", ".renviron", ".rdata", ".irbrc", ".pryrc", ".ghci", ".ocamlinit"],
      ...[".iex.exs", ".octaverc"],
    ],
    "Python": ["sitecustomize.py", "usercustomize.py"],
    "programs of this account": [
      ...[".ssh", ".gnupg", ".netrc", ".config", ".local", ".screenrc", ".tmux.conf", ".docker"],
      ...[".kube", ".aws", ".crontab"],
    ],
  }).flatMap(([what, names]) => names.map((name) => [name, what] as const)),
);

const SUFFIXES: readonly (readonly [suffix: string, what: string])[] = [
  [".code-workspace", "editors"],
  [".sublime-project", "editors"],
  [".iml", "editors"],
  [".pth", "Python"],
  [".desktop", "the desktop"],
];

const FORGE: ReadonlyMap<string, string> = new Map([
  ["workflows", "continuous integration"],
  ["actions", "continuous integration"],
  ["copilot-instructions.md", "coding agents"],
  ...["instructions", "prompts", "agents", "chatmodes", "skills", "hooks"]
    .map((name) => [name, "coding agents"] as const),
]);

/** Directories of which only some of what is in them counts. */
const PARTLY: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map([
  [".github", FORGE],
  [".gitea", FORGE],
  [".forgejo", FORGE],
  [".yarn", new Map(["releases", "plugins", "sdks"].map((name) => [name, "package managers"]))],
]);

/** In a repository's own directory: what git runs or obeys, or what leads it to another repository. */
const GIT_OWN: ReadonlySet<string> = new Set([
  ...["hooks", "config", "config.worktree", "commondir", "gitdir", "alternates"],
  ...["remotes", "branches"], // where older repositories have the addresses of others
  ...["fsmonitor--daemon", "fsmonitor--daemon.ipc"],
  ...["rebase-merge", "rebase-apply", "sequencer"], // which have commands to go on with
]);

/** Branches and files of logs are named as anybody likes. */
const GIT_NAMES: readonly (string | undefined)[] = ["refs", "logs"];

/**
 * Who would run the file, or obey it; undefined for nobody. `isRepository` says of a path whether it is a
 * repository's own directory, whatever its name; "" is the directory that all is in.
 */
export function executedBy(
  path: string,
  isRepository: (path: string) => boolean = () => false,
): string | undefined {
  const steps = path.split("/").map(folded);
  for (const [at, step] of steps.entries()) {
    const known = NAMES.get(step) ?? partOf(PARTLY.get(step), steps[at + 1]) ??
      SUFFIXES.find(([suffix]) => step.endsWith(suffix))?.[1];
    if (known !== undefined) return known;
  }
  return isGits(path, steps, isRepository) ? "git" : undefined;
}

/** A file or link in the place of the directory itself leads to another one. */
function partOf(
  parts: ReadonlyMap<string, string> | undefined,
  name: string | undefined,
): string | undefined {
  return name === undefined ? parts?.values().next().value : parts?.get(name);
}

/** Of each repository above: a guest may put one into another, to have the inner one's names judged or the outer's. */
function isGits(
  path: string,
  steps: readonly string[],
  isRepository: (path: string) => boolean,
): boolean {
  // A file or link in the place of the directory says where the repository is.
  if (steps.at(-1) === ".git") return true;
  const last = steps.findLastIndex((step) => GIT_OWN.has(step));
  let end = 0;
  for (let at = 0; at <= last; at++) {
    const isOne = steps[at - 1] === ".git" || isRepository(path.slice(0, end));
    if (isOne && !GIT_NAMES.includes(steps[at])) return true;
    const next = path.indexOf("/", at === 0 ? 0 : end + 1);
    end = next < 0 ? path.length : next;
  }
  return false;
}

/** Whether a directory of that name is harmless itself, and only what may be in it is not. */
export function isOnlyAbove(path: string): boolean {
  const name = folded(nameIn(path));
  return name === ".git" || PARTLY.has(name);
}

/** Whether git would run or obey a file of that name, in a directory that is a repository's own. */
export function isGitOwn(path: string): boolean {
  return path.split("/").some((step) => GIT_OWN.has(folded(step)));
}

/** Whether the file makes a repository of the directory that it is in, given what else may be there. */
export function isHead(path: string): boolean {
  return folded(nameIn(path)) === "head";
}

/** Whether it is in a directory that has a repository's name. */
export function isBelowGit(path: string): boolean {
  return path.split("/").slice(0, -1).some((step) => folded(step) === ".git");
}

function nameIn(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Characters that file systems of a Mac leave out of names, so that another name is the same file. */
const IGNORED = /[\u200c-\u200f\u202a-\u202e\u2060\u206a-\u206f\ufeff]/g;

const PLAIN = /^[ -~]*$/;

/** As a file system compares names that knows no case. */
export function folded(name: string): string {
  if (PLAIN.test(name)) return name.toLowerCase();
  // Neither is folding by itself: "ſ" and ligatures are other letters in small, and "ß" is two in capitals.
  return name.replace(IGNORED, "").normalize("NFKC").toUpperCase().toLowerCase();
}

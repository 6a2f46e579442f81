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
    "version control": [".hg", ".hgrc", "hgrc", ".jj", ".bzr"],
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
      ...[".envrc", ".autoenv", ".autoenv.zsh", ".env.zsh"],
      ...[".mise.toml", "mise.toml", ".mise", ".tool-versions", ".rtx.toml", ".devenv.nix"],
    ],
    "editors": [
      ...[".vscode", ".idea", ".fleet", ".zed", ".helix", ".vs", ".nova", ".settings"],
      ...[".devcontainer", ".devcontainer.json"],
      ...[".vimrc", ".exrc", ".nvimrc", ".nvim.lua", ".lvimrc", ".local.vimrc", ".vim"],
      ...[".dir-locals.el", ".dir-locals-2.el", ".emacs", ".emacs.d"],
    ],
    "coding agents": [
      ...[".claude", ".claude.json", ".mcp.json", ".cursor", ".cursorrules", ".codex", ".gemini"],
      ...[".windsurf", ".continue", ".aider.conf.yml", ".aider"],
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
    "debuggers": [".gdbinit", ".lldbinit"],
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

/** Where workflows lie in forges' own directories. */
const FORGES = [".github", ".gitea", ".forgejo"];

/** In a repository's own directory: what git runs or obeys, or what leads it to another repository. */
const GIT_OWN: ReadonlySet<string> = new Set([
  ...["hooks", "config", "config.worktree", "commondir", "gitdir", "alternates"],
  ...["fsmonitor--daemon", "fsmonitor--daemon.ipc"],
  ...["rebase-merge", "rebase-apply", "sequencer"], // which have commands to go on with
]);

/** Branches and files of logs are named as anybody likes. */
const GIT_NAMES: readonly (string | undefined)[] = ["refs", "logs"];

/**
 * Who would run the file, or obey it; undefined for nobody. `isRepository` says of a path whether it is a
 * repository's own directory, whatever its name.
 */
export function executedBy(
  path: string,
  isRepository: (path: string) => boolean = () => false,
): string | undefined {
  const steps = path.split("/").map(folded);
  for (const step of steps) {
    const known = NAMES.get(step) ?? SUFFIXES.find(([suffix]) => step.endsWith(suffix))?.[1];
    if (known !== undefined) return known;
  }
  if (steps.some((step, at) => FORGES.includes(step) && isWorkflow(steps[at + 1]))) {
    return "continuous integration";
  }
  const within = steps.findIndex((step, at) =>
    step === ".git" || isRepository(path.split("/").slice(0, at + 1).join("/"))
  );
  if (within < 0) return undefined;
  const own = steps.slice(within + 1);
  // A file or link in the place of the directory says where the repository is.
  if (own.length === 0) return "git";
  return !GIT_NAMES.includes(own[0]) && own.some((step) => GIT_OWN.has(step)) ? "git" : undefined;
}

/** Whether a directory of that name is harmless itself, and only what may be in it is not. */
export function isOnlyAbove(path: string): boolean {
  const name = folded(path.slice(path.lastIndexOf("/") + 1));
  return name === ".git" || FORGES.includes(name);
}

/** Whether git would run or obey a file of that name, in a directory that is a repository's own. */
export function isGitOwn(path: string): boolean {
  return path.split("/").some((step) => GIT_OWN.has(folded(step)));
}

function isWorkflow(name: string | undefined): boolean {
  return name === undefined || ["workflows", "actions"].includes(name);
}

/** Characters that file systems of a Mac leave out of names, so that another name is the same file. */
const IGNORED = /[\u200c-\u200f\u202a-\u202e\u2060\u206a-\u206f\ufeff]/g;

/** As a file system compares names that knows no case. */
function folded(name: string): string {
  return name.replace(IGNORED, "").normalize("NFC").toLowerCase();
}

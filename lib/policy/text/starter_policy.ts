/**
 * A first policy for a project: what its package managers and its remotes need, and nothing else. Pure.
 *
 * A repository can be somebody else's trap: its files decide which of the well-known services are opened,
 * and never open one of their own choice. What else they name is written as a comment.
 *
 * @module
 */
import { escapeText } from "../../base/escape.ts";
import { canonicalName } from "../../base/name.ts";

interface Ecosystem {
  readonly name: string;
  /** Any of these files says that the project is of it. */
  readonly files: readonly string[];
  /** Where its package manager downloads from. */
  readonly hosts: readonly string[];
}

const ECOSYSTEMS: readonly Ecosystem[] = [
  {
    name: "npm",
    files: ["package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "bun.lock", "bun.lockb"],
    hosts: ["registry.npmjs.org"],
  },
  { name: "yarn", files: ["yarn.lock"], hosts: ["registry.yarnpkg.com", "registry.npmjs.org"] },
  {
    name: "pip",
    files: ["requirements.txt", "Pipfile.lock", "poetry.lock", "uv.lock", "pdm.lock"],
    hosts: ["pypi.org", "files.pythonhosted.org"],
  },
  { name: "cargo", files: ["Cargo.lock"], hosts: ["index.crates.io", "static.crates.io"] },
  { name: "go", files: ["go.sum", "go.mod"], hosts: ["proxy.golang.org", "sum.golang.org"] },
];

/** Services that many people's repositories are on. */
const FORGES: ReadonlySet<string> = new Set([
  "bitbucket.org",
  "codeberg.org",
  "github.com",
  "gitlab.com",
]);

/** Files of a project's directory that say what it needs. */
export const TELLING_FILES: readonly string[] = ECOSYSTEMS.flatMap(({ files }) => files);

/** A TCP port of a host. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

export interface Starter {
  /** For people: `npm (package-lock.json)`. */
  readonly found: readonly string[];
  /** Hosts with ports that are for the reader to decide. */
  readonly left: readonly string[];
  /** The policy file. */
  readonly text: string;
}

/** Places that something of the project needs. */
interface Need {
  readonly name: string;
  /** Why, in words. */
  readonly because: string;
  readonly places: readonly Place[];
  /** A place of the repository's own choice stays a comment. */
  readonly isKnown: boolean;
}

/** `files` are those of {@link TELLING_FILES} that there are; `file` is what the policy will be called. */
export function starterPolicy(
  files: ReadonlySet<string>,
  remotes: readonly Place[],
  file: string,
): Starter {
  const needs = distinct([...ecosystemNeeds(files), ...remotes.map(remoteNeed)]);
  const known = needs.filter(({ isKnown }) => isKnown).flatMap(({ places }) => places);
  return {
    found: needs.filter(({ isKnown }) => isKnown).map(({ name, because }) =>
      `${name} (${because})`
    ),
    left: needs.filter(({ isKnown }) => !isKnown).map(({ because }) => because),
    text: [
      "# What a guest may reach while it works on this project:",
      `#   sbx run --policy ${escapeText(file)} -v .:/work -w /work -- COMMAND`,
      "# Everything else is refused, and told with the flag that would allow it. The first rule that",
      "# fits decides. `sbx policy check` finds mistakes in this file, and `sbx policy test` tries what",
      "# stands below `expect`.",
      "default: deny",
      known.length > 0 ? "rules:" : "rules: []",
      ...needs.flatMap(rulesFor),
      "  # like this: - allow@api.example.com:tcp:443",
      "expect:",
      ...known.map(({ host, port }) => `  - allow tcp ${host}:${port}`),
      "  - deny tcp 10.0.0.5:5432",
      "",
    ].join("\n"),
  };
}

function ecosystemNeeds(files: ReadonlySet<string>): readonly Need[] {
  return ECOSYSTEMS.flatMap(({ name, files: telling, hosts }) => {
    const present = telling.filter((each) => files.has(each));
    const places = hosts.map((host) => ({ host, port: 443 }));
    return present.length === 0
      ? []
      : [{ name, because: present.join(", "), places, isKnown: true }];
  });
}

function remoteNeed(remote: Place): Need {
  const isKnown = FORGES.has(remote.host) && [22, 443].includes(remote.port);
  return { name: "git", because: `${remote.host}:${remote.port}`, places: [remote], isKnown };
}

function rulesFor({ name, because, places, isKnown }: Need): readonly string[] {
  const rules = places.map(({ host, port }) => `- allow@${host}:tcp:${port}`);
  return isKnown
    ? [`  # ${name}: ${because}`, ...rules.map((rule) => `  ${rule}`)]
    : [`  # ${name}: a remote here; if you know the host: ${rules.join(" ")}`];
}

/** Without what stands in an earlier one already. */
function distinct(needs: readonly Need[]): readonly Need[] {
  const seen = new Set<string>();
  return needs.map((need) => ({
    ...need,
    places: need.places.filter(({ host, port }) => {
      const place = `${host}:${port}`;
      return !seen.has(place) && seen.add(place);
    }),
  }));
}

/** Hosts of the remotes in a `.git/config`, each once; what is no name of a host is left out. */
export function remotesOf(config: string): readonly Place[] {
  const found = new Map<string, Place>();
  for (const line of config.split("\n")) {
    const [key = "", value = ""] = line.split(/=(.*)/s).map((part) => part.trim());
    const remote = key === "url" ? remoteOf(value) : null;
    if (remote !== null) found.set(`${remote.host}:${remote.port}`, remote);
  }
  return [...found.values()];
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { "https:": 443, "ssh:": 22, "git:": 9418 };

/** `https://host/path`, `ssh://user@host:port/path`, or scp's `user@host:path`. */
function remoteOf(url: string): Place | null {
  if (!url.includes("://")) {
    const [, host = ""] = /^(?:[^@/]*@)?([^:/@]+):/.exec(url) ?? [];
    return named(host, 22);
  }
  const parsed = URL.parse(url);
  const port = DEFAULT_PORTS[parsed?.protocol ?? ""];
  if (parsed === null || port === undefined) return null;
  return named(parsed.hostname, parsed.port === "" ? port : Number(parsed.port));
}

function named(text: string, port: number): Place | null {
  const host = text.includes(".") ? canonicalName(text) : null;
  return host === null ? null : { host, port };
}

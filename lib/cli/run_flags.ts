/**
 * The options of `sbx run`: what they are called, and what was given.
 *
 * @module
 */
import type { Command } from "commander";
import type { Mount, Publication, Secret } from "../mod.ts";
import type { SecretDetail } from "../policy/text/secret_declaration.ts";
import { parsePublications } from "./publications.ts";
import { type SecretFlags, secretRows } from "./secret_flags.ts";
import { givenTls, type TlsFlags, tlsRows } from "./tls_flags.ts";
import {
  oneOf,
  parseCount,
  parseDuration,
  parseKey,
  parseMemory,
  parseMount,
  usage,
} from "./values.ts";

/** What was given, parsed; absent fields were not. */
export interface RunFlags extends TlsFlags, SecretFlags {
  readonly policy?: string;
  /** Of `--allow`, `--deny` and `--rule` together, in the order given. */
  readonly rules: readonly RuleFlag[];
  readonly denyWith?: "drop" | "reject";
  /** False for `--no-net`. */
  readonly net: boolean;
  readonly blockDomain: readonly string[];
  readonly blockDomainSuffix: readonly string[];
  readonly blockDoh?: true;
  /** False for `--no-dns-rebind-protection`. */
  readonly dnsRebindProtection: boolean;
  readonly addHost: readonly string[];
  readonly dnsServer: readonly string[];
  readonly dnsTimeout?: number;
  readonly maxConnections?: number;
  readonly maxNewFlows?: number;
  readonly publish: readonly Publication[];
  readonly volume: readonly Mount[];
  /** Assignments and environment files in the order given, which decides between equal names. */
  readonly environment: readonly EnvironmentFlag[];
  readonly workdir?: string;
  readonly name?: string;
  readonly hostname?: string;
  readonly user?: string;
  readonly cpus?: number;
  readonly memory?: number;
  readonly disk?: string;
  /** The tag of a snapshot. */
  readonly from?: string;
  readonly savable?: true;
  readonly root?: string;
  /** False for `--no-template`. */
  readonly template: boolean;
  readonly timeout?: number;
  readonly tty?: boolean;
  /** A byte of ASCII; null for none. */
  readonly escapeChar?: number | null;
  readonly quiet?: true;
  /** False for `--no-notices`. */
  readonly notices: boolean;
  readonly denials?: DenialLevel;
  readonly log?: string;
  readonly detach?: true;
  readonly interactive?: true;
  readonly rm?: true;
  readonly diff?: true;
  readonly apply?: true;
  readonly includeUnsafe?: true;
  readonly restart?: typeof RESTARTS[number];
  readonly idleTimeout?: number;
}

/** What is told of denials: each kind and the summary, the summary alone, or nothing. */
export type DenialLevel = "all" | "summary" | "none";

const RESTARTS = ["no", "on-failure", "always"] as const;

const DENIAL_LEVELS: readonly DenialLevel[] = ["all", "summary", "none"];

export interface RuleFlag {
  readonly form: "allow" | "deny" | "rule";
  readonly text: string;
}

export type EnvironmentFlag =
  | { readonly kind: "assignment"; readonly text: string }
  | { readonly kind: "file"; readonly path: string };

/** `create` leaves out what is about this shell's streams, `lima` all that is not about the network and its secrets. */
export function declareRunFlags(
  command: Command,
  verb: "run" | "create" | "lima" = "run",
): void {
  const rules: RuleFlag[] = [];
  const environment: EnvironmentFlag[] = [];
  const lists = {
    rules,
    environment,
    blockDomain: [] as string[],
    blockDomainSuffix: [] as string[],
    addHost: [] as string[],
    dnsServer: [] as string[],
    publish: [] as Publication[],
    volume: [] as Mount[],
    secret: [] as Secret[],
    secretDetails: [] as SecretDetail[],
  };
  for (const [name, list] of Object.entries(lists)) command.setOptionValue(name, list);

  const network: Row[] = [
    ["--policy <name|file>", "public-only (default), allow-all, none, or a policy file"],
    [
      "--allow <target[:ports]>",
      "allow flows to an address, block, domain, .suffix or group",
      (text) => add(rules, { form: "allow", text }),
    ],
    [
      "--deny <target[:ports]>",
      "deny them; of --allow, --deny and --rule the first match wins",
      (text) => add(rules, { form: "deny", text }),
    ],
    [
      "--rule <rule>",
      "a rule as it stands in a policy file: deny:inbound@any:tcp:22",
      (text) => add(rules, { form: "rule", text }),
    ],
    ["--deny-with <how>", "drop (silence, default) or reject (an error at once)"],
    ["--no-net", "no network device at all"],
    [
      "-p, --publish <[[bind:]host:]guest>",
      "lead a port of this machine, or a free one, to the guest; /udp for UDP, FROM-TO for a range",
      (text) => {
        lists.publish.push(...parsePublications(text));
        return lists.publish;
      },
    ],
    [
      "--max-connections <n>",
      "flows at once, TCP and UDP; questions to the resolver do not count",
      (text) => parseCount("--max-connections", text),
    ],
    ["--max-new-flows <n>", "new flows a second", (text) => parseCount("--max-new-flows", text)],
  ];
  const names: Row[] = [
    [
      "--block-domain <name|@file>",
      "a name that does not exist for the guest",
      (text) => add(lists.blockDomain, text),
    ],
    [
      "--block-domain-suffix <name|@file>",
      "the same, with every name below it",
      (text) => add(lists.blockDomainSuffix, text),
    ],
    ["--block-doh", "refuse the known public DNS-over-HTTPS services"],
    ["--no-dns-rebind-protection", "let public names point to private addresses"],
    [
      "--add-host <name:addr>",
      "a name with an address of your own; host-gateway is this machine",
      (text) => add(lists.addHost, text),
    ],
    [
      "--dns-server <addr[:port]>",
      "ask this resolver instead of the host's own",
      (text) => add(lists.dnsServer, text),
    ],
    [
      "--dns-timeout <duration>",
      "give up a query after this long",
      (text) => parseDuration("--dns-timeout", text),
    ],
  ];
  const guest: Row[] = [
    [
      "-v, --volume <host:guest[:mode]>",
      "show a directory of this machine to the guest, or a file with :ro; other modes are :cached and :copy",
      (text) => add(lists.volume, parseMount(text)),
    ],
    [
      "-e, --env <key[=value]>",
      "set a variable, or pass on this shell's",
      (text) => add(environment, { kind: "assignment", text }),
    ],
    [
      "--env-file <file>",
      "set the variables listed in a file",
      (path) => add(environment, { kind: "file", path }),
    ],
    ["-w, --workdir <dir>", "directory in the guest to start in"],
    ["-u, --user <name|uid[:group]>", "run the command as this user of the guest (default root)"],
    ["--root <dir>", "run the system in this directory instead of this machine's own"],
    ["-n, --name <name>", "name of the sandbox, and host name of the guest"],
    ["--hostname <name>", "another host name; it may have several labels"],
    ["-c, --cpus <n>", "processors (default 1)", (text) => parseCount("--cpus", text)],
    ["-m, --memory <size>", "memory such as 512M or 2G (default 1G)", parseMemory],
    ["--disk <size>", "write to a disk such as 20G instead of to the guest's memory"],
    ["--from <snapshot>", "begin with the disk of a snapshot, under its policy; see sbx snapshot"],
    ["--savable", "with a disk, let snapshots and forks have its memory and processes, too"],
    ["--no-template", "boot, though a template is kept for such guests; see sbx template"],
  ];
  const life: Row[] = [
    [
      "--restart <when>",
      "start again at its end: no (default), on-failure or always",
      parseRestart,
    ],
    [
      "--idle-timeout <duration>",
      "stop it when nobody has used it for this long",
      (text) => parseDuration("--idle-timeout", text),
    ],
  ];
  const created: Row[] = [
    [
      "--timeout <duration>",
      "end each command after this long",
      (text) => parseDuration("--timeout", text),
    ],
    ["-t, --tty", "give the main command a terminal"],
    ["-i, --interactive", "leave the main command's input open for 'sbx attach'"],
    ["--rm", "remove the sandbox at its end"],
    ...life,
    ["-q, --quiet", "print the name alone"],
    ["--log <file>", "append what happens on the network, one JSON object a line"],
  ];
  const session: Row[] = [
    ["-d, --detach", "leave it running and print its name; see sbx ls, logs, attach and exec"],
    [
      "--timeout <duration>",
      "end the command after this long, with status 124",
      (text) => parseDuration("--timeout", text),
    ],
    ["-t, --tty", "give the command a terminal; done anyway where input and output are one"],
    ["--no-tty", "do not"],
    [
      "--escape-char <key>",
      "at a terminal, Enter, this key (~) and a full stop end the command; ^X for Ctrl-X, or none",
      (text) => parseKey("--escape-char", text),
    ],
    ["-i, --interactive", "with -d, leave its input open; else input is always passed on"],
    ["--diff", "when the command has ended, print what it changed in copies (-v …:copy)"],
    [
      "--apply",
      "take that over when the command succeeds; with --diff, a terminal is asked before",
    ],
    [
      "--include-unsafe",
      "take over files that programs here run by themselves, and links that lead out, as well",
    ],
    ["--rm", "with -d, remove it at its end; else nothing of a guest is ever left"],
    ...life,
    ["-q, --quiet", "print nothing but the command's output and errors"],
    ["--no-notices", "leave out the line about emulation, which is told once on a machine"],
    [
      "--denials <what>",
      "what is told of denials: all (default), summary (the last line) or none",
      (text) => oneOf("--denials", text, DENIAL_LEVELS),
    ],
    ["--log <file>", "append what happened on the network, one JSON object a line; - prints it"],
  ];
  const groups = {
    Network: network,
    Names: names,
    TLS: tlsRows(command),
    Secrets: secretRows(lists),
    ...(verb === "lima" ? {} : { Guest: guest }),
    ...(verb === "run" ? { Command: session } : verb === "create" ? { Sandbox: created } : {}),
  };
  for (const [title, rows] of Object.entries(groups)) {
    command.optionsGroup(`${title}:`);
    for (const [flags, description, parse] of rows) {
      if (parse === undefined) command.option(flags, description);
      else command.option(flags, description, parse);
    }
  }
  command.optionsGroup("");
}

/** Flags, what they mean, and how their value is read. */
type Row = readonly [
  flags: string,
  description: string,
  parse?: (text: string, before?: unknown) => unknown,
];

function add<T>(list: T[], value: T): T[] {
  list.push(value);
  return list;
}

/** Reads what commander collected. */
export function runFlags(command: Command): RunFlags {
  return { ...command.opts<Omit<RunFlags, "tls">>(), tls: givenTls(command) };
}

/** Docker's other words are explained: what was stopped stays so, and nothing is counted. */
function parseRestart(text: string): typeof RESTARTS[number] {
  if (text === "unless-stopped") {
    throw usage(
      "--restart",
      text,
      "no such choice",
      "write always: what 'sbx stop' ended stays so",
    );
  }
  if (/^on-failure:\d+$/.test(text)) {
    throw usage(
      "--restart",
      text,
      "starts are not counted",
      "write on-failure: it waits longer each time",
    );
  }
  return oneOf("--restart", text, RESTARTS);
}

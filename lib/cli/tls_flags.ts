/**
 * The options of `sbx run` about TLS: a table of what each is called, what it means, and the call of the
 * builder that it stands for.
 *
 * @module
 */
import { type Command, Option } from "commander";
import {
  type NetworkBuilder,
  type Policy,
  type PolicyFile,
  SbxError,
  type TlsBuilder,
} from "../mod.ts";
import type { SecretFlags } from "./secret_flags.ts";
import { parseDuration, usage } from "./values.ts";

/** What was given. */
export interface TlsFlags {
  readonly tlsIntercept?: true;
  readonly trustHostCas?: true;
  /** The others, in the order of the table. */
  readonly tls: readonly GivenTls[];
}

interface GivenTls {
  readonly option: TlsOption;
  readonly value: unknown;
}

/** Runs a builder call; what it refuses is wrong usage of the option. */
type Blame = <T>(option: string, value: unknown, call: () => T) => T;

interface TlsOption {
  readonly name: string;
  /** `<n>`, for options that take a value. */
  readonly argument?: string;
  readonly meaning: string;
  /** It is about ports that are intercepted, and says nothing where only the hosts of secrets are. */
  readonly ofPorts?: true;
  /** How a value is read, after those that were given before. */
  readonly parse?: (text: string, before?: unknown) => unknown;
  readonly apply: (tls: TlsBuilder, value: unknown, blame: Blame) => TlsBuilder;
}

function flag(name: string, meaning: string, call: (tls: TlsBuilder) => TlsBuilder): TlsOption {
  return { name, meaning, apply: (tls) => call(tls) };
}

/** Takes a value; the last one counts. */
function single<V>(
  [name, argument, meaning]: readonly [string, string, string],
  read: (text: string) => V,
  call: (tls: TlsBuilder, value: V) => TlsBuilder,
): TlsOption {
  const apply: TlsOption["apply"] = (tls, value, blame) =>
    blame(name, value, () => call(tls, value as V));
  return { name, argument, meaning, parse: (text) => read(text), apply };
}

/** Takes a value each time, and all of them count: together, or each in a call of its own. */
function several<V>(
  [name, argument, meaning]: readonly [string, string, string],
  read: (text: string) => V,
  call: { readonly all: (tls: TlsBuilder, values: readonly V[]) => TlsBuilder } | {
    readonly each: (tls: TlsBuilder, value: V) => TlsBuilder;
  },
): TlsOption {
  const apply: TlsOption["apply"] = (start, given, blame) => {
    const values = given as readonly V[];
    if ("all" in call) return blame(name, values, () => call.all(start, values));
    return values.reduce((tls, value) => blame(name, value, () => call.each(tls, value)), start);
  };
  const parse = (text: string, before?: unknown) => [...(before as V[] ?? []), read(text)];
  return { name, argument, meaning, parse, apply };
}

function ofPorts(option: TlsOption): TlsOption {
  return { ...option, ofPorts: true };
}

const asIs = (text: string) => text;

const CA_CERT = single(
  ["--tls-ca-cert", "<file>", "your own authority instead of that of sbx: its certificate"],
  asIs,
  (tls, path) => tls.interceptCaCert(path),
);
const CA_KEY = single(
  ["--tls-ca-key", "<file>", "and its key"],
  asIs,
  (tls, path) => tls.interceptCaKey(path),
);
const UNVERIFIED = flag(
  "--no-verify-upstream",
  "do not verify upstream servers; =NAME only for a name, *.suffix or address",
  (tls) => tls.verifyUpstream(false),
);

/** The same option with a value; see {@link takeAttachedValue}. */
const UNVERIFIED_NAMES = several([UNVERIFIED.name, "", ""], asIs, {
  each: (tls, name) => tls.verifyUpstreamExcept(name),
});
const UNVERIFIED_NAMES_KEY = "noVerifyUpstreamFor";

const OPTIONS: readonly TlsOption[] = [
  ofPorts(
    several(
      ["--tls-port", "<n>", "intercept this port instead of 443; may be repeated"],
      parsePort,
      {
        all: (tls, ports) => tls.interceptedPorts(ports),
      },
    ),
  ),
  ofPorts(
    several(
      ["--tls-bypass", "<name>", "do not open TLS to a name or *.suffix that the policy allows"],
      asIs,
      { each: (tls, name) => tls.bypass(name) },
    ),
  ),
  flag("--no-block-quic", "do not refuse QUIC on intercepted ports", (tls) => tls.blockQuic(false)),
  CA_CERT,
  CA_KEY,
  several(
    [
      "--upstream-ca",
      "<file>",
      "an authority that upstream servers may have, beside the public ones",
    ],
    asIs,
    { each: (tls, path) => tls.upstreamCaCert(path) },
  ),
  UNVERIFIED,
  flag(
    "--tls-opaque",
    "relay what is not HTTP inside TLS instead of refusing it",
    (tls) => tls.opaque(),
  ),
  single(
    [
      "--tls-idle-timeout",
      "<duration>",
      "close an opened connection on which nothing moves for so long",
    ],
    (text) => parseDuration("--tls-idle-timeout", text),
    (tls, ms) => tls.idleTimeout(ms),
  ),
];

/** Flags, what they mean, and how their value is read. */
type Row = readonly [flags: string, description: string, parse?: TlsOption["parse"]];

/** The options as commander declares them. */
export function tlsRows(command: Command): Row[] {
  const names: string[] = [];
  takeAttachedValue(command, UNVERIFIED.name, (text) => {
    names.push(text);
    command.setOptionValueWithSource(UNVERIFIED_NAMES_KEY, names, "cli");
  });
  return [
    ["--tls-intercept", "open TLS on port 443, to see and judge requests"],
    ...OPTIONS.map(({ name, argument, meaning, parse }): Row =>
      //
      parse === undefined ? [name, meaning] : [`${name} ${argument}`, meaning, parse]
    ),
    ["--trust-host-cas", "trust the authorities that this machine trusts, beside the public ones"],
  ];
}

/** Those of the table that were given. */
export function givenTls(command: Command): readonly GivenTls[] {
  const given = (option: TlsOption, key: string): readonly GivenTls[] =>
    command.getOptionValueSource(key) === "cli"
      ? [{ option, value: command.getOptionValue(key) }]
      : [];
  return [
    ...OPTIONS.flatMap((option) => given(option, new Option(option.name).attributeName())),
    ...given(UNVERIFIED_NAMES, UNVERIFIED_NAMES_KEY),
  ];
}

/**
 * Lets an option be used alone and with an attached value, but never with the next word: the word
 * after `--no-verify-upstream` is the command to run. Commander's optional values would take it.
 */
function takeAttachedValue(command: Command, flag: string, take: (text: string) => void): void {
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (argv) => {
    const rest: string[] = [];
    for (let index = 0; index < argv.length; index++) {
      const word = argv[index] ?? "";
      // From the first word that is no option on, everything is the guest's command.
      if (!word.startsWith("-") || word === "--") return parse([...rest, ...argv.slice(index)]);
      if (word.startsWith(`${flag}=`)) {
        take(word.slice(flag.length + 1));
        continue;
      }
      rest.push(word);
      const value = argv[index + 1];
      if (
        value !== undefined &&
        command.options.some((each) => each.required && [each.short, each.long].includes(word))
      ) {
        rest.push(value);
        index++;
      }
    }
    return parse(rest);
  };
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw usage("--tls-port", text, "not a port");
  return port;
}

/**
 * Makes the builder calls.
 *
 * @throws SbxError USAGE for options that contradict each other
 */
export function applyTlsFlags(
  fresh: NetworkBuilder,
  flags: TlsFlags & SecretFlags,
  policy: Policy | PolicyFile,
  blame: Blame,
): NetworkBuilder {
  const network = flags.trustHostCas ? fresh.trustHostCas() : fresh;
  if (flags.tls.length === 0 && !flags.tlsIntercept) return network;
  const intercepts = flags.tlsIntercept === true || ("tls" in policy && policy.tls.intercept);
  const opensHosts = flags.secret.length > 0 ||
    ("secrets" in policy && policy.secrets.secrets.length > 0);
  refuseContradictions(flags, { intercepts, opensHosts });
  return network.tls((start) =>
    flags.tls.reduce(
      (tls, { option, value }) => option.apply(tls, value, blame),
      start.intercept(intercepts),
    )
  );
}

function refuseContradictions(
  flags: TlsFlags,
  { intercepts, opensHosts }: { readonly intercepts: boolean; readonly opensHosts: boolean },
): void {
  const idle = intercepts
    ? undefined
    : flags.tls.find(({ option }) => !opensHosts || option.ofPorts === true);
  if (idle !== undefined) {
    const state = opensHosts
      ? "only TLS to the hosts of secrets is opened"
      : "TLS is not intercepted";
    throw new SbxError("USAGE", `Cannot use ${idle.option.name}: ${state}`, {
      hint: "add --tls-intercept",
    });
  }
  const has = (wanted: TlsOption) => flags.tls.some(({ option }) => option === wanted);
  for (const [one, other] of [[CA_CERT, CA_KEY], [CA_KEY, CA_CERT]] as const) {
    if (!has(one) || has(other)) continue;
    throw new SbxError(
      "USAGE",
      `Cannot use ${one.name} without ${other.name}: an authority is a certificate and its key`,
    );
  }
  if (has(UNVERIFIED) && has(UNVERIFIED_NAMES)) {
    throw new SbxError("USAGE", `Cannot use ${UNVERIFIED.name} with and without a name`, {
      hint: "leave the one without out, so that all other servers are verified",
    });
  }
}

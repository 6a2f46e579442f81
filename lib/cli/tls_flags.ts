/**
 * The options of `sbx run` about TLS.
 *
 * @module
 */
import type { Command } from "commander";
import { type NetworkBuilder, type Policy, type PolicyFile, SbxError } from "../mod.ts";
import { usage } from "./values.ts";

/** What was given; absent fields were not. */
export interface TlsFlags {
  readonly tlsIntercept?: true;
  readonly tlsPort: readonly number[];
  readonly tlsBypass: readonly string[];
  /** False for `--no-block-quic`. */
  readonly blockQuic: boolean;
  readonly tlsCaCert?: string;
  readonly tlsCaKey?: string;
  readonly upstreamCa: readonly string[];
  /** False for `--no-verify-upstream` without a name. */
  readonly verifyUpstream: boolean;
  readonly noVerifyUpstreamFor: readonly string[];
  readonly tlsOpaque?: true;
  readonly trustHostCas?: true;
}

/** Flags, what they mean, and how their value is read. */
type Row = readonly [flags: string, description: string, parse?: (text: string) => unknown];

const UNVERIFIED = "--no-verify-upstream";

/** Declares the options; each list collects its option's values. */
export function tlsRows(command: Command): Row[] {
  const lists = {
    tlsPort: [] as number[],
    tlsBypass: [] as string[],
    upstreamCa: [] as string[],
    noVerifyUpstreamFor: [] as string[],
  };
  for (const [name, list] of Object.entries(lists)) command.setOptionValue(name, list);
  const add = <T>(list: T[], value: T) => (list.push(value), list);
  takeAttachedValue(command, UNVERIFIED, (text) => add(lists.noVerifyUpstreamFor, text));
  return [
    ["--tls-intercept", "open TLS on port 443, to see and judge requests"],
    [
      "--tls-port <n>",
      "intercept this port instead of 443; may be repeated",
      (text) => add(lists.tlsPort, parsePort(text)),
    ],
    [
      "--tls-bypass <name>",
      "do not open TLS to a name or *.suffix that the policy allows",
      (text) => add(lists.tlsBypass, text),
    ],
    ["--no-block-quic", "do not refuse QUIC on intercepted ports"],
    ["--tls-ca-cert <file>", "your own authority instead of that of sbx: its certificate"],
    ["--tls-ca-key <file>", "and its key"],
    [
      "--upstream-ca <file>",
      "an authority that upstream servers may have, beside the public ones",
      (text) => add(lists.upstreamCa, text),
    ],
    [
      UNVERIFIED,
      "do not verify upstream servers; =NAME only for a name, *.suffix or address",
    ],
    ["--tls-opaque", "relay what is not HTTP inside TLS instead of refusing it"],
    ["--trust-host-cas", "trust the authorities that this machine trusts, beside the public ones"],
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
 * Makes the builder calls. `given` runs one and blames the option for what it refuses.
 *
 * @throws SbxError USAGE for options that contradict each other
 */
export function applyTlsFlags(
  fresh: NetworkBuilder,
  flags: TlsFlags,
  policy: Policy | PolicyFile,
  given: <T>(option: string, value: unknown, call: () => T) => T,
): NetworkBuilder {
  const network = flags.trustHostCas ? fresh.trustHostCas() : fresh;
  const used = usedOptions(flags);
  if (used.length === 0 && !flags.tlsIntercept) return network;
  refuseContradictions(flags, policy, used[0]);
  return network.tls((start) => {
    let tls = start;
    const set = <T>(option: string, value: T, call: (value: T) => typeof tls) => {
      tls = given(option, value, () => call(value));
    };
    if (flags.tlsPort.length > 0) {
      set("--tls-port", flags.tlsPort, (ports) => tls.interceptedPorts(ports));
    }
    for (const name of flags.tlsBypass) set("--tls-bypass", name, () => tls.bypass(name));
    if (!flags.blockQuic) tls = tls.blockQuic(false);
    if (flags.tlsCaCert !== undefined) tls = tls.interceptCaCert(flags.tlsCaCert);
    if (flags.tlsCaKey !== undefined) tls = tls.interceptCaKey(flags.tlsCaKey);
    tls = tls.upstreamCaCert(...flags.upstreamCa);
    if (!flags.verifyUpstream) tls = tls.verifyUpstream(false);
    for (const name of flags.noVerifyUpstreamFor) {
      set(UNVERIFIED, name, () => tls.verifyUpstreamExcept(name));
    }
    return flags.tlsOpaque ? tls.opaque() : tls;
  });
}

/** The options given that say something about interception, as they are spelled. */
function usedOptions(flags: TlsFlags): string[] {
  const used: readonly (readonly [string, boolean])[] = [
    ["--tls-port", flags.tlsPort.length > 0],
    ["--tls-bypass", flags.tlsBypass.length > 0],
    ["--no-block-quic", !flags.blockQuic],
    ["--tls-ca-cert", flags.tlsCaCert !== undefined],
    ["--tls-ca-key", flags.tlsCaKey !== undefined],
    ["--upstream-ca", flags.upstreamCa.length > 0],
    [UNVERIFIED, !flags.verifyUpstream || flags.noVerifyUpstreamFor.length > 0],
    ["--tls-opaque", flags.tlsOpaque === true],
  ];
  return used.filter(([, given]) => given).map(([option]) => option);
}

function refuseContradictions(
  flags: TlsFlags,
  policy: Policy | PolicyFile,
  used: string | undefined,
): void {
  const intercepts = flags.tlsIntercept === true || ("tls" in policy && policy.tls.intercept);
  if (!intercepts && used !== undefined) {
    throw new SbxError("USAGE", `Cannot use ${used}: TLS is not intercepted`, {
      hint: "add --tls-intercept",
    });
  }
  const [alone, other] = flags.tlsCaCert === undefined
    ? [flags.tlsCaKey, "--tls-ca-key without --tls-ca-cert"]
    : [
      flags.tlsCaKey === undefined ? flags.tlsCaCert : undefined,
      "--tls-ca-cert without --tls-ca-key",
    ];
  if (alone !== undefined) {
    throw new SbxError("USAGE", `Cannot use ${other}: an authority is a certificate and its key`);
  }
  if (!flags.verifyUpstream && flags.noVerifyUpstreamFor.length > 0) {
    throw new SbxError("USAGE", `Cannot use ${UNVERIFIED} with and without a name`, {
      hint: "leave the one without out, so that all other servers are verified",
    });
  }
}

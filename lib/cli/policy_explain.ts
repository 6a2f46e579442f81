/**
 * `sbx policy explain`: one flow, or one reason, in words.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { lookup } from "node:dns/promises";
import { snapshotHere } from "../api/snapshot.ts";
import { parseAddress } from "../base/address.ts";
import { SbxError } from "../base/errors.ts";
import { quote } from "../base/escape.ts";
import { canonicalName } from "../base/name.ts";
import type { Hypothetical } from "../judge/hypothetical.ts";
import { simulateName, simulateQuestion, withPins } from "../judge/simulate.ts";
import type { Snapshot } from "../judge/snapshot.ts";
import type { Pin, ReasonId } from "../policy/model/policy.ts";
import { REASONS } from "../policy/model/reasons.ts";
import type { PolicyFile } from "../policy/model/settings.ts";
import { type FlowTarget, parseFlow } from "../policy/text/flow_text.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { type Explained, explainedFlow, explainedName } from "./explained.ts";
import { explainedLines } from "./explained_lines.ts";
import { explainedValue } from "./explained_value.ts";
import { jsonText } from "./json.ts";
import { resolvePolicyFile } from "./policy_argument.ts";
import { ui } from "./ui.ts";
import { usage } from "./values.ts";

interface Flags {
  readonly pin: readonly Pin[];
  /** False for `--no-sni`. */
  readonly sni?: string | false;
  readonly inbound?: true;
  readonly json?: true;
}

export function declare(command: Command): void {
  const pins: Pin[] = [];
  command.setOptionValue("pin", pins);
  command
    .usage("[options] <policy> <flow> | <reason>")
    .argument("<policy|reason>", "a preset or policy file; or the reason of a denial")
    .argument("[flow]", "like tcp://10.0.0.5:5432 or udp://dns.example:53")
    .option(
      "--pin <name=address>",
      "take the name as resolved to this address; else the host is asked",
      (text) => {
        pins.push(readPin(text));
        return pins;
      },
    )
    .option("--sni <name>", "the name that the flow states (TLS SNI, HTTP Host)")
    .addOption(new Option("--no-sni", "the flow states no name"))
    .option("--inbound", "the address is a peer that connects to this port of the guest")
    .option("--json", "print one JSON object instead of lines");
  examples(command, [
    ["sbx policy explain public-only tcp://10.0.0.5:5432", "the walk through the rules"],
    [
      "sbx policy explain lan.yaml tcp://api.example.com:443",
      "with the addresses that the name has here",
    ],
    [
      "sbx policy explain lan.yaml tcp://203.0.113.7:443 --sni api.example.com",
      "a name forged on the wire",
    ],
    ["sbx policy explain rebind", "what a reason in a denial means"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const [subject = "", flowText] = command.args;
  const flags = command.opts<Flags>();
  if (flowText === undefined) {
    if (!Object.hasOwn(REASONS, subject)) {
      throw new SbxError(
        "USAGE",
        `Cannot explain ${quote(subject)}: it is no reason, and no flow is given`,
        {
          hint: "write sbx policy explain POLICY tcp://ADDRESS:PORT, or one of " +
            Object.keys(REASONS).join(", "),
        },
      );
    }
    const { explanation } = REASONS[subject as ReasonId];
    ui.out(flags.json ? jsonText({ reason: subject, explanation }) : `${explanation}\n`);
    return OK;
  }
  const file = await resolvePolicyFile(subject);
  const flow = readFlow(flowText);
  const explained = await explainAll(file, flow, flags);
  if (flags.json) ui.out(jsonText({ policy: subject, ...explainedValue(explained) }));
  else for (const line of explained.flatMap(explainedLines)) ui.line(line);
  return OK;
}

/** What does not parse on the command line is wrong usage, not a bad policy. */
function readFlow(text: string): FlowTarget {
  try {
    return parseFlow(text);
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    throw new SbxError(
      "USAGE",
      error.message,
      error.hint === undefined ? {} : { hint: error.hint },
    );
  }
}

async function explainAll(
  file: PolicyFile,
  flow: FlowTarget,
  flags: Flags,
): Promise<readonly Explained[]> {
  const { host, protocol, port } = flow;
  const direction = flags.inbound ? "inbound" : "outbound";
  if (host.kind === "name" && flags.inbound) {
    throw usage("--inbound", host.name, "a peer is known by its address");
  }
  const fresh = await snapshotHere(file);
  const given = withPins(fresh, flags.pin);
  const name = statedName(flow, flags);
  const stated = name === undefined ? {} : { name };
  const at = (address: string): Hypothetical => ({
    direction,
    protocol,
    address,
    ...(port === undefined ? {} : { port }),
    ...stated,
  });
  if (host.kind === "address") return [explainedFlow(given, at(host.address), file.secrets)];
  const explained: Explained[] = [explainedName(fresh, host.name)];
  for (const text of await answersFor(fresh, host.name, flags)) {
    const resolution = simulateName(fresh, host.name, [text]);
    if (resolution.kind === "answered") {
      const snapshot = withPins(given, resolution.pins);
      for (const { address } of resolution.pins) {
        explained.push(explainedFlow(snapshot, at(address), file.secrets));
      }
    } else if (resolution.outcome.stage === "answer") {
      const { policy } = fresh.compiled;
      explained.push({ kind: "answer", policy, address: text, outcome: resolution.outcome });
    }
  }
  return explained;
}

/** What the name resolves to: as was said, or else as this machine finds it. None where nobody is asked. */
async function answersFor(
  snapshot: Snapshot,
  name: string,
  { pin }: Flags,
): Promise<readonly string[]> {
  const ruling = simulateQuestion(snapshot, name);
  if (ruling.kind === "known") return [""]; // one turn, with the addresses that are known
  if (ruling.kind !== "ask") return [];
  const given = pin.filter((each) => each.name === name).map(({ address }) => address);
  return given.length > 0 ? given : await resolve(name);
}

/** What a client would state: the name it goes to, over TCP. */
function statedName({ host, protocol }: FlowTarget, { sni, inbound }: Flags): string | undefined {
  if (sni === false || inbound) return undefined;
  if (sni !== undefined) return nameIn("--sni", sni);
  return protocol === "tcp" && host.kind === "name" ? host.name : undefined;
}

async function resolve(name: string): Promise<string[]> {
  const found = await lookup(name, { all: true }).catch(() => []);
  if (found.length > 0) return found.map(({ address }) => address);
  throw new SbxError(
    "RESOLVER",
    `Cannot explain flows to ${name}: it does not resolve on this machine`,
    {
      hint: `give an address with --pin ${name}=ADDRESS`,
    },
  );
}

function readPin(text: string): Pin {
  const equals = text.indexOf("=");
  const address = parseAddress(text.slice(equals + 1));
  if (equals < 1 || address === null) throw usage("--pin", text, "not NAME=ADDRESS");
  return { name: nameIn("--pin", text.slice(0, equals)), address: address.text };
}

function nameIn(option: string, text: string): string {
  const name = canonicalName(text);
  if (name === null) throw usage(option, text, "no domain name");
  return name;
}

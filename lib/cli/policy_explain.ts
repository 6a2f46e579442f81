/**
 * `sbx policy explain`: one flow, or one reason, in words.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { lookup } from "node:dns/promises";
import { parseAddress } from "../base/address.ts";
import { SbxError } from "../base/errors.ts";
import { canonicalName } from "../base/name.ts";
import { hostAddresses } from "../host/network.ts";
import { courtOf, nameRefusal } from "../flow/rehearse.ts";
import { type FlowTarget, parseFlow } from "../policy/flow_text.ts";
import type { FlowQuery, Pin, ReasonId } from "../policy/policy.ts";
import type { PolicyFile } from "../policy/settings.ts";
import { readBlockedNames } from "../sandbox/blocked_names.ts";
import { LINK } from "../sandbox/link.ts";
import { examples } from "./command.ts";
import { isWithheld, passage, resolution } from "./explanation.ts";
import { OK } from "./exit.ts";
import { resolvePolicyFile } from "./policy_argument.ts";
import { REASONS } from "./reasons.ts";
import { ui } from "./ui.ts";
import { usage } from "./values.ts";

interface Flags {
  readonly pin: readonly Pin[];
  /** False for `--no-sni`. */
  readonly sni?: string | false;
  readonly inbound?: true;
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
    .option("--inbound", "the address is a peer that connects to this port of the guest");
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
  if (flowText === undefined) {
    if (!Object.hasOwn(REASONS, subject)) {
      throw new SbxError(
        "USAGE",
        `Cannot explain ${JSON.stringify(subject)}: it is no reason, and no flow is given`,
        {
          hint: "write sbx policy explain POLICY tcp://ADDRESS:PORT, or one of " +
            Object.keys(REASONS).join(", "),
        },
      );
    }
    ui.out(`${REASONS[subject as ReasonId]}\n`);
    return OK;
  }
  const file = await resolvePolicyFile(subject);
  const flow = readFlow(flowText);
  for (const line of await explanation(file, flow, command.opts<Flags>())) ui.out(`${line}\n`);
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

async function explanation(file: PolicyFile, flow: FlowTarget, flags: Flags): Promise<string[]> {
  const hosts = new Set([LINK.gateway.ip4, LINK.gateway.ip6, ...hostAddresses()]);
  const court = courtOf(file, await readBlockedNames(file.dns), hosts);
  const { host, protocol, port } = flow;
  const lines: string[] = [];
  const pins = [...flags.pin];
  if (host.kind === "name") {
    if (flags.inbound) throw usage("--inbound", host.name, "a peer is known by its address");
    lines.push(...resolution(court, host.name));
    if (nameRefusal(court, host.name) !== null) return lines;
    if (!pins.some(({ name }) => name === host.name)) pins.push(...await resolve(host.name));
  }
  const addresses = host.kind === "address"
    ? [host.address]
    : pins.filter(({ name }) => name === host.name).map(({ address }) => address);
  const name = statedName(flow, flags);
  for (const address of addresses) {
    const query: FlowQuery = {
      direction: flags.inbound ? "inbound" : "outbound",
      protocol,
      address,
      ...(port === undefined ? {} : { port }),
      ...(name === undefined ? {} : { name }),
      phase: "final",
    };
    if (host.kind === "name" && isWithheld(court, address)) {
      lines.push(`answer ${address}`, `deny: rebind, ${address} is no address of the internet`);
      continue;
    }
    lines.push(...passage(court, query, pins));
  }
  return lines;
}

/** What a client would state: the name it goes to, over TCP. */
function statedName({ host, protocol }: FlowTarget, { sni, inbound }: Flags): string | undefined {
  if (sni === false || inbound) return undefined;
  if (sni !== undefined) return nameIn("--sni", sni);
  return protocol === "tcp" && host.kind === "name" ? host.name : undefined;
}

async function resolve(name: string): Promise<Pin[]> {
  const found = await lookup(name, { all: true }).catch(() => []);
  if (found.length > 0) return found.map(({ address }) => ({ name, address }));
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

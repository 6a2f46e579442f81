/**
 * Expectations: what a policy file says should happen to certain flows, so that a change of the
 * rules that breaks one is noticed before a guest does.
 *
 *     expect:
 *       - allow tcp api.github.com:443
 *       - {expect: deny, to: "203.0.113.7:443", sni: api.github.com}
 *
 * @module
 */

import { parseAddress } from "../../base/address.ts";
import type { Action, Direction, Pin } from "../model/policy.ts";
import { readName } from "../model/target.ts";
import { PolicyFault, quote, unknownWord, within } from "../text/fault.ts";
import {
  type FlowTarget,
  formatFlow,
  formatFlowTo,
  readFlow,
  readFlowTo,
  readOneProtocol,
} from "../text/flow_text.ts";
import { ACTION_WORDS, readDirection } from "../text/grammar.ts";
import type { ExpectationShape } from "./schema.ts";

/** What should become of a flow. */
export interface Expectation {
  /** What is expected. */
  readonly expect: Action;
  /** Who opens the flow. */
  readonly direction: Direction;
  /** Where it goes; inbound, who comes and to which port. */
  readonly flow: FlowTarget;
  /** What the flow's name resolves to; canonical. */
  readonly resolvesTo?: string;
  /** The name the flow states. Absent: the name it goes to, if any. `null`: it states none. */
  readonly sni?: string | null;
  /** Other names that were resolved before. */
  readonly pins: readonly Pin[];
  /** The address belongs to the host. */
  readonly host: boolean;
  /** It is in a network that an interface of the host is on. */
  readonly localNetwork: boolean;
}

/** Reads `allow|deny PROTO HOST:PORT`; throws a `PolicyFault`. */
export function readExpectationLine(text: string): Expectation {
  const parts = /^(\S+)\s+(\S.*)$/.exec(text.trim());
  const action = ACTION_WORDS.find((word) => word === parts?.[1]);
  if (parts === null) {
    throw new PolicyFault(
      `${quote(text)} is no expectation`,
      "write it like allow tcp api.example.com:443",
    );
  }
  if (action === undefined) throw unknownWord("action", parts[1] ?? "", ACTION_WORDS);
  return {
    expect: action,
    direction: "outbound",
    flow: readFlow(parts[2] ?? ""),
    pins: [],
    host: false,
    localNetwork: false,
  };
}

/** Reads the spelled-out form; throws a `PolicyFault`. */
export function readExpectation(shape: ExpectationShape): Expectation {
  const direction = readDirection(shape.direction ?? "outbound");
  if (direction === "both") {
    throw new PolicyFault("a flow has one direction", "use outbound or inbound");
  }
  const protocol = within("protocol", () => readOneProtocol(shape.protocol ?? "tcp"));
  const flow = within("to", () => readFlowTo(protocol, shape.to));
  if (shape.address !== undefined && flow.host.kind === "address") {
    throw new PolicyFault("address is given, but `to` names none", "put a name into `to`");
  }
  if (direction === "inbound" && flow.host.kind === "name") {
    throw new PolicyFault("a peer is known by its address", "put an address into `to`");
  }
  return {
    expect: shape.expect,
    direction,
    flow,
    ...(shape.address === undefined ? {} : { resolvesTo: addressIn(shape.address) }),
    ...(shape.sni === undefined ? {} : { sni: shape.sni === false ? null : readName(shape.sni) }),
    pins: (shape.pins ?? []).map((pin) => ({
      name: readName(pin.name),
      address: addressIn(pin.address),
    })),
    host: shape.host ?? false,
    localNetwork: shape.localNetwork ?? false,
  };
}

/** As {@link readExpectation} and, where a line can say it all, {@link readExpectationLine} read it back. */
export function spellExpectation(
  { expect, direction, flow, resolvesTo, sni, pins, host, localNetwork }: Expectation,
  as: "line" | "object",
): string | ExpectationShape {
  const said = {
    ...(direction === "outbound" ? {} : { direction }),
    ...(resolvesTo === undefined ? {} : { address: resolvesTo }),
    ...(sni === undefined ? {} : { sni: sni ?? (false as const) }),
    ...(pins.length === 0 ? {} : { pins: pins.map(({ name, address }) => ({ name, address })) }),
    ...(host ? { host: true as const } : {}),
    ...(localNetwork ? { localNetwork: true as const } : {}),
  };
  if (as === "line" && Object.keys(said).length === 0) return `${expect} ${formatFlow(flow)}`;
  return { expect, protocol: flow.protocol, to: formatFlowTo(flow), ...said };
}

/** One line that names the flow and all that is said about it. */
export function formatExpectation(expectation: Expectation): string {
  const { direction, flow, resolvesTo, sni, pins, host, localNetwork } = expectation;
  const more = [
    direction === "inbound" ? "inbound" : "",
    resolvesTo === undefined ? "" : `at ${resolvesTo}`,
    sni === undefined ? "" : sni === null ? "no SNI" : `SNI ${sni}`,
    ...pins.map((pin) => `${pin.name} at ${pin.address}`),
    host ? "an address of the host" : "",
    localNetwork ? "in a network of the host" : "",
  ].filter((part) => part !== "");
  return more.length === 0 ? formatFlow(flow) : `${formatFlow(flow)} (${more.join(", ")})`;
}

function addressIn(text: string): string {
  const address = parseAddress(text);
  if (address === null) throw new PolicyFault(`${quote(text)} is no address`);
  return address.text;
}

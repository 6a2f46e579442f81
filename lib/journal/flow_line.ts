/**
 * What the lines of a flow have in common.
 *
 * @module
 */
import { formatEndpoint } from "../base/address.ts";
import { escapeText } from "../base/escape.ts";
import { type FlowInfo, hasPorts } from "../judge/flow_info.ts";
import type { Ruling } from "../judge/ruling.ts";
import type { FlowLine } from "./format.ts";

/** A flow as lines name it. */
export function flowLine(flow: number, info: FlowInfo, { name, tls }: Ruling): FlowLine {
  const { proto, src, sport, dst, dport } = info;
  const end = (address: string, port: number) =>
    hasPorts({ proto }) ? formatEndpoint(address, port) : address;
  return {
    flow,
    direction: info.dir,
    protocol: proto,
    source: end(src, sport),
    destination: end(dst, dport),
    ...(name === undefined ? {} : { name: escapeText(name) }),
    ...(tls === undefined ? {} : { tls }),
  };
}

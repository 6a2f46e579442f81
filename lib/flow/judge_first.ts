/**
 * From the first bytes of an inspected flow to a ruling. Pure.
 *
 * ```
 * port not intercepted: no name, or a name stated ──► allow | deny; silence ──► inspect once more
 *                       HTTP ──► deny | redirect (its requests are judged one by one)
 * port intercepted:     a ClientHello ──► deny | allow (bypassed) | redirect (intercepted)
 *                       anything else ──► deny
 * ```
 *
 * @module
 */
import { type ClientHello, parseClientHello } from "../tls/client_hello.ts";
import type { Interception } from "../tls/interception.ts";
import type { FirstEnd, FlowInfo } from "./control_message.ts";
import { type Court, intercepts, judgeNamed, type Ruling } from "./judge.ts";
import { type Stated, statedName } from "./stated_name.ts";

export interface FirstJudgement {
  readonly ruling: Ruling;
  /** The name in the bytes. */
  readonly stated: string | undefined;
  /** What an intercepted flow said. */
  readonly hello?: ClientHello;
  /** sbx relays its requests. */
  readonly http?: true;
}

/**
 * Judges a flow by the first bytes that its guest sent. An allow of a guest that has said nothing
 * yet is `inspect` once more: dial, and judge what it says when it does.
 */
export function judgeFirst(
  court: Court,
  info: FlowInfo,
  first: Uint8Array,
  end: FirstEnd,
): FirstJudgement {
  if (court.tls !== null && intercepts(court, info)) {
    return judgeHello(court, court.tls, info, first, end);
  }
  const name = statedName(first, end);
  if (name.kind === "invalid") return deny("sni-invalid", name.why);
  const stated = name.kind === "name" ? name.name : undefined;
  const ruling = judgeNamed(court, info, stated);
  if (ruling.action === "allow" && isRelayed(court, ruling, name)) {
    return { ruling: { ...ruling, action: "redirect" }, stated, http: true };
  }
  const silent = first.length === 0 && end === "timeout";
  if (!silent || ruling.action !== "allow") return { ruling, stated };
  return { ruling: { ...ruling, action: "inspect" }, stated };
}

/**
 * One connection carries any number of requests, each for a host of its own, and a server may have
 * others than the one that was judged. So wherever names were asked for, HTTP is relayed request by
 * request. Requests to a proxy are for other servers by design; they pass as they are, unless a rule
 * about names is all that opens the way.
 */
function isRelayed(
  { compiled }: Court,
  { rule }: Ruling,
  { http }: Exclude<Stated, { kind: "invalid" }>,
): boolean {
  if (http !== "proxy") return http === "origin";
  const kind = rule === undefined ? undefined : compiled.policy.rules[rule]?.destination.kind;
  return kind === "domain" || kind === "suffix";
}

/** An intercepted port is for TLS: what cannot be opened there does not pass unseen. */
function judgeHello(
  court: Court,
  tls: Interception,
  info: FlowInfo,
  first: Uint8Array,
  end: FirstEnd,
): FirstJudgement {
  if (first.length === 0) return deny("tls-expected", "the guest said nothing");
  const parsed = parseClientHello(first);
  if (parsed.kind === "not-tls") return deny("tls-expected", "the guest spoke something else");
  if (parsed.kind === "invalid") return deny("sni-invalid", parsed.why);
  if (parsed.kind === "partial") {
    return deny("sni-invalid", `${end === "full" ? "an endless" : "an unfinished"} ClientHello`);
  }
  const { hello } = parsed;
  const stated = hello.sni ?? undefined;
  const ruling = judgeNamed(court, info, stated);
  if (ruling.action !== "allow") return { ruling, stated };
  return bypasses(court, tls, info, stated)
    ? { ruling: { ...ruling, tls: "bypassed" }, stated }
    : { ruling: { ...ruling, action: "redirect", tls: "intercepted" }, stated, hello };
}

/**
 * The name alone would be a tunnel to any address: a guest may state whatever is on the list. So the
 * address must be one that this name was resolved to.
 */
function bypasses(
  { pins }: Court,
  { bypass }: Interception,
  { dst }: FlowInfo,
  name: string | undefined,
): boolean {
  return name !== undefined && bypass.has(name) && pins.has(name, dst);
}

function deny(reason: "sni-invalid" | "tls-expected", detail: string): FirstJudgement {
  return { ruling: { action: "deny", reason, detail }, stated: undefined };
}

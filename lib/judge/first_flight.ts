/**
 * From the first bytes of an inspected flow to a ruling. Pure.
 *
 * ```
 * port not intercepted: no name, or a name stated ──► allow | deny; silence ──► inspect once more
 *                       HTTP, to a server or a proxy ──► deny | redirect (each request is judged)
 *                       a ClientHello for a secret's host ──► deny | redirect (intercepted)
 * port intercepted:     a ClientHello ──► deny | allow (bypassed) | redirect (intercepted)
 *                       anything else ──► deny
 * ```
 *
 * @module
 */
import type { ClientHello } from "../tls/client_hello.ts";
import type { Interception } from "../tls/interception.ts";
import { watched } from "./carried.ts";
import type { FirstJudgement } from "./first_judgement.ts";
import type { FirstEnd, FlowInfo } from "./flow_info.ts";
import { readHello } from "./hello.ts";
import { judgeNamed } from "./named.ts";
import { intercepts } from "./opening.ts";
import type { Ruling } from "./ruling.ts";
import type { Snapshot } from "./snapshot.ts";
import { type StatedHttp, statedName } from "./stated_name.ts";

/**
 * Judges a flow by the first bytes that its guest sent. An allow of a guest that has said nothing
 * yet is `inspect` once more: dial, and judge what it says when it does.
 */
export function judgeFirst(
  snapshot: Snapshot,
  info: FlowInfo,
  first: Uint8Array,
  end: FirstEnd,
): FirstJudgement {
  const judgement = watched(snapshot, judgeBytes(snapshot, info, first, end), first);
  const { ruling } = judgement;
  if (ruling.action !== "deny" || first.length > MOST_KEPT) return judgement;
  return { ...judgement, ruling: { ...ruling, first: { bytes: first, end } } };
}

/** More than a client's hello or a request's head has; refusals are kept until they are told of. */
const MOST_KEPT = 4_096;

function judgeBytes(
  snapshot: Snapshot,
  info: FlowInfo,
  first: Uint8Array,
  end: FirstEnd,
): FirstJudgement {
  if (snapshot.tls !== null && intercepts(snapshot, info)) {
    return judgeHello(snapshot, snapshot.tls, info, first, end);
  }
  const name = statedName(first, end);
  if (name.kind === "invalid") return deny("sni-invalid", name.why);
  const stated = name.kind === "name" ? name.name : undefined;
  const ruling = judgeNamed(snapshot, info, stated);
  if (ruling.action !== "allow") return { ruling, stated };
  if (name.http !== undefined) {
    const serve = isProxy(snapshot, ruling, name.http) ? "proxy" : "http";
    return { ruling: { ...ruling, action: "redirect", serve }, stated };
  }
  const { hello } = name;
  if (hello !== undefined) {
    return isOfSecret(snapshot, stated) ? opened(ruling, hello) : { ruling, stated, tls: true };
  }
  const silent = first.length === 0 && end === "timeout";
  return { ruling: silent ? { ...ruling, action: "inspect" } : ruling, stated };
}

/**
 * Judges the second hello of a flow that passed by its first, when the server has asked for one. It
 * may differ in little, and not in its name (RFC 8446 4.1.2), but servers take what it says. One that did
 * not take the first for a hello has read it as something else, and would so read what comes behind it.
 */
export function judgeRetry(
  snapshot: Snapshot,
  first: PassedHello,
  bytes: Uint8Array,
  end: FirstEnd,
): FirstJudgement {
  const judgement = end === "plain"
    ? deny("sni-invalid", NO_TLS)
    : judgeSecond(snapshot, first, bytes);
  return watched(snapshot, judgement, bytes);
}

export const NO_TLS = "more behind a ClientHello that its server did not take for one";

/** A flow that passed by its first hello. */
interface PassedHello {
  readonly info: FlowInfo;
  readonly ruling: Ruling;
  readonly stated: string | undefined;
}

function judgeSecond(snapshot: Snapshot, first: PassedHello, bytes: Uint8Array): FirstJudgement {
  const parsed = readHello(bytes);
  if (parsed.kind === "invalid") return deny("sni-invalid", parsed.why);
  if (parsed.kind !== "hello") return deny("sni-invalid", "an unfinished second ClientHello");
  const stated = parsed.hello.sni ?? undefined;
  if (stated !== first.stated) return deny("sni-invalid", "a second ClientHello for another name");
  const { tls } = first.ruling;
  const ruling = judgeNamed(snapshot, first.info, stated);
  return { ruling: tls === undefined ? ruling : { ...ruling, tls }, stated, tls: true };
}

/**
 * One connection carries any number of requests, each for a host of its own, and a server may have
 * others than the one that was judged. So wherever names were asked for, HTTP is relayed request by
 * request. Requests to a proxy are for other servers by design, and those to any server may be written
 * like them (RFC 9112 3.2.2): each is judged by whom it names and goes on as it is, unless a rule about
 * names is all that opens the way, which then leads to that name's own server.
 */
function isProxy(
  { compiled }: Snapshot,
  { rule }: Ruling,
  http: StatedHttp,
): boolean {
  if (http === "origin") return false;
  const kind = rule === undefined ? undefined : compiled.policy.rules[rule]?.destination.kind;
  return kind !== "domain" && kind !== "suffix";
}

/** An intercepted port is for TLS: what cannot be opened there does not pass unseen. */
function judgeHello(
  snapshot: Snapshot,
  tls: Interception,
  info: FlowInfo,
  first: Uint8Array,
  end: FirstEnd,
): FirstJudgement {
  if (first.length === 0) return deny("tls-expected", "the guest said nothing");
  const parsed = readHello(first);
  if (parsed.kind === "not-tls") return deny("tls-expected", "the guest spoke something else");
  if (parsed.kind === "invalid") return deny("sni-invalid", parsed.why);
  if (parsed.kind === "partial") {
    return deny("sni-invalid", `${end === "full" ? "an endless" : "an unfinished"} ClientHello`);
  }
  const { hello } = parsed;
  const stated = hello.sni ?? undefined;
  const ruling = judgeNamed(snapshot, info, stated);
  if (ruling.action !== "allow") return { ruling, stated };
  return bypasses(snapshot, tls, info, stated)
    ? { ruling: { ...ruling, tls: "bypassed" }, stated, tls: true }
    : opened(ruling, hello);
}

function opened(ruling: Ruling, hello: ClientHello): FirstJudgement {
  return {
    ruling: { ...ruling, action: "redirect", serve: "interception", tls: "intercepted" },
    stated: hello.sni ?? undefined,
    hello,
  };
}

/**
 * The name alone would be a tunnel to any address: a guest may state whatever is on the list. So the
 * address must be one that this name was resolved to. Where a secret goes, nothing passes unread.
 */
export function bypasses(
  { pins }: Snapshot,
  { bypass, hosts }: Interception,
  { dst }: FlowInfo,
  name: string | undefined,
): boolean {
  return name !== undefined && bypass.has(name) && pins.has(name, dst) && !hosts.has(name);
}

/**
 * Its TLS is opened on whatever port. What states no name, or another, gets no value, so that it is left
 * as it is.
 */
function isOfSecret({ tls }: Snapshot, name: string | undefined): boolean {
  return tls !== null && name !== undefined && tls.hosts.has(name);
}

function deny(reason: "sni-invalid" | "tls-expected", detail: string): FirstJudgement {
  return { ruling: { action: "deny", reason, detail }, stated: undefined };
}

/**
 * A flow that nobody has opened, played through everything that would judge it. Pure.
 *
 * ```
 * name ──► answer ──► pins ──► opening ──► first flight ──► session ──► requests ──► allow
 *   └────────┴───────────────────┴────────────┴───────────────┴────────────┴──► deny
 * ```
 *
 * What decides here is what decides in a running sandbox; only its bytes and answers are made up.
 *
 * @module
 */
import { type Address, parseAddress } from "../base/address.ts";
import { isWithheld, judgeQuestion, type NameRuling } from "../dns/filter.ts";
import { hostQuestion } from "../dns/wire/message.ts";
import { type Authority, isFor, parseAuthority } from "../http/authority.ts";
import type { Pin, PinTable, Refusal } from "../policy/model/policy.ts";
import type { ClientHello } from "../tls/client_hello.ts";
import type { Interception } from "../tls/interception.ts";
import { HTTP_PROTOCOLS } from "../tls/session/offer.ts";
import { firstBytes, type FirstWords } from "./first_bytes.ts";
import { judgeFirst } from "./first_flight.ts";
import type { FirstEnd, FlowInfo } from "./flow_info.ts";
import { judgeOpening } from "./opening.ts";
import { judgePlainRequest, judgeRequest } from "./request.ts";
import { judgeOffer, judgeServer, type SimulatedServer } from "./session.ts";
import type { Snapshot } from "./snapshot.ts";

export interface SimulatedFlow {
  readonly info: FlowInfo;
  /** What the guest says first, where it is listened to. Absent: nothing. */
  readonly first?: FirstWords;
  /** Why no more of it was read. Absent: it is whole, or the guest is silent. */
  readonly end?: FirstEnd;
  /** The authorities of its requests. Absent: one, for what the first words name. */
  readonly requests?: readonly string[];
  /** What is wrong with the server of an intercepted flow. Absent: nothing. */
  readonly server?: SimulatedServer;
}

/** Where it was decided. */
export type Stage = "name" | "answer" | "opening" | "first flight" | "session" | "request";

export interface Outcome {
  readonly verdict: "allow" | "deny";
  readonly stage: Stage;
  readonly why: Refusal;
  /** What becomes of its TLS. */
  readonly tls?: "intercepted" | "bypassed";
}

/** What becomes of the flow. */
export function simulate(snapshot: Snapshot, flow: SimulatedFlow): Outcome {
  const { info, first = { kind: "nothing" } } = flow;
  const opening = judgeOpening(snapshot, info);
  if (opening.action !== "inspect") {
    return outcome(opening.action === "deny" ? "deny" : "allow", "opening", opening);
  }
  const bytes = firstBytes(first);
  const end = flow.end ?? (bytes.length === 0 ? "timeout" : "complete");
  const { ruling, stated, hello } = judgeFirst(snapshot, info, bytes, end);
  if (ruling.action === "deny") return outcome("deny", "first flight", ruling);
  const allowed = outcome("allow", "first flight", ruling);
  if (ruling.serve === "http") {
    const requests = flow.requests ?? [first.kind === "http" ? first.host : stated ?? info.dst];
    return refusedRequest(snapshot, info, null, requests) ?? allowed;
  }
  if (hello === undefined || snapshot.tls === null) return allowed;
  return refusedSession(snapshot, snapshot.tls, flow, hello) ?? allowed;
}

/** What becomes of a guest's question for the addresses of a name, before anybody is asked. */
export function simulateQuestion(snapshot: Snapshot, name: string): NameRuling {
  return judgeQuestion(snapshot, hostQuestion(name), "udp");
}

/** What a guest gets that asks for the name, when resolvers answer with these addresses. */
export type Resolution =
  | { readonly kind: "refused"; readonly outcome: Outcome }
  /** What the guest is told; the name is pinned to each. */
  | { readonly kind: "answered"; readonly pins: readonly Pin[] };

export function simulateName(
  snapshot: Snapshot,
  name: string,
  answer: readonly string[],
): Resolution {
  const ruling = simulateQuestion(snapshot, name);
  if (ruling.kind === "refuse") return refusedName("name", ruling.refusal);
  if (ruling.kind === "known" && ruling.known.origin !== "hosts") {
    return answered(name, ruling.known.addresses);
  }
  const addresses = ruling.kind === "known"
    ? ruling.known.addresses
    : answer.flatMap((text) => parseAddress(text) ?? []);
  const inside = snapshot.rebindProtection
    ? addresses.find((address) => isWithheld(snapshot, address))
    : undefined;
  if (inside !== undefined) {
    return refusedName("answer", { reason: "rebind", detail: inside.text });
  }
  return answered(name, addresses);
}

/** The same snapshot for a guest that has resolved these as well. */
export function withPins(snapshot: Snapshot, pins: readonly Pin[]): Snapshot {
  const { pins: before } = snapshot;
  const table: PinTable = {
    namesOf: (address) => [
      ...before.namesOf(address),
      ...pins.filter((pin) => pin.address === address).map(({ name }) => name),
    ],
    has: (name, address) =>
      before.has(name, address) ||
      pins.some((pin) => pin.name === name && pin.address === address),
  };
  return { ...snapshot, pins: table };
}

function refusedSession(
  snapshot: Snapshot,
  tls: Interception,
  { info, server, requests }: SimulatedFlow,
  hello: ClientHello,
): Outcome | null {
  const host = hello.sni ?? info.dst;
  const refusal = judgeOffer(tls, hello) ??
    (server === undefined ? null : judgeServer(tls, host, server));
  if (refusal !== null) return outcome("deny", "session", refusal);
  const isHttp = hello.alpn.length === 0 || hello.alpn.some((name) => HTTP_PROTOCOLS.has(name));
  return isHttp ? refusedRequest(snapshot, info, hello, requests ?? [host]) : null;
}

/** The first request that is refused, if any is. `hello`: of an intercepted flow. */
function refusedRequest(
  snapshot: Snapshot,
  info: FlowInfo,
  hello: ClientHello | null,
  requests: readonly string[],
): Outcome | null {
  const destination = {
    scheme: hello === null ? "http" : "https",
    host: hello?.sni ?? null,
    port: info.dport,
  } as const;
  const judge = (stated: Authority): Refusal | null => {
    if (!isFor(destination, stated)) return { reason: "host-mismatch", detail: stated.host };
    return hello === null
      ? judgePlainRequest(snapshot, info, stated)
      : judgeRequest(snapshot, { info, hello }, stated);
  };
  for (const text of requests) {
    const stated = parseAuthority(text.includes(":") && parseAddress(text) ? `[${text}]` : text);
    const refusal = stated === null
      ? { reason: "request-malformed", detail: "a malformed Host" } as const
      : judge(stated);
    if (refusal !== null) return outcome("deny", "request", refusal);
  }
  return null;
}

function refusedName(stage: Stage, refusal: Refusal): Resolution {
  return { kind: "refused", outcome: outcome("deny", stage, refusal) };
}

function answered(name: string, addresses: readonly Address[]): Resolution {
  return { kind: "answered", pins: addresses.map(({ text }) => ({ name, address: text })) };
}

function outcome(
  verdict: Outcome["verdict"],
  stage: Stage,
  why: Refusal & { readonly tls?: "intercepted" | "bypassed" },
): Outcome {
  const { reason, rule, detail, tls } = why;
  return {
    verdict,
    stage,
    why: {
      reason,
      ...(rule === undefined ? {} : { rule }),
      ...(detail === undefined ? {} : { detail }),
    },
    ...(tls === undefined ? {} : { tls }),
  };
}

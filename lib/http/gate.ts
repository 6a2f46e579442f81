/**
 * The one place where a request of either version is let through, answered in its server's stead or
 * reset, and where what passes may be changed: its target and fields, its body while it streams, and
 * the same of its answer.
 *
 * Where a request goes, and where it and its answer end, is not the gate's: authority and method stay,
 * lengths and the fields of the connection are made anew behind it.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { JudgeRequest, Refusal } from "./exchange.ts";
import { endToEndTrailers, type Field, isFieldValue, isToken, trim } from "./fields.ts";
import { MalformedHttp } from "./malformed.ts";
import { deniedPage, type Page, relayPage, unreachablePage } from "./refusal.ts";
import { type BodyShape, type HttpRequest, isTarget, lineOf } from "./request.ts";

/**
 * Asked once for each request, before any byte of it leaves. While a promise is pending, an HTTP/1 guest is
 * not read, and an HTTP/2 stream waits alone. One that rejects costs the connection.
 */
export type RequestGate = (request: HttpRequest) => Verdict | Promise<Verdict>;

export type Verdict =
  | Pass
  /** The guest gets a page that says why. */
  | { readonly kind: "refuse"; readonly refusal: Refusal }
  /** The guest sees a reset: of its connection in HTTP/1, of its stream in HTTP/2. */
  | { readonly kind: "reset"; readonly refusal: Refusal };

/** What is left out stays as the guest sent it. */
export interface Pass {
  readonly kind: "pass";
  /** One that is another than the guest's enters no compression table. */
  readonly target?: string | undefined;
  /** All of them, in their order; `sensitive` ones enter no compression table. */
  readonly fields?: readonly Field[] | undefined;
  readonly body?: BodyTransform | undefined;
  /**
   * HTTP/1: the server gets nothing before the whole of a body whose length is stated, so that it is told
   * the length of what came of it. Not so of one that it is to ask for first (100-continue). The gate is
   * to bound what waits.
   */
  readonly whole?: boolean;
  /**
   * The server gets nothing before the whole of the body, and then this head. For a request whose body is
   * transformed, and is none that its server is to ask for first. In HTTP/2 what waits is bounded by the
   * stream's window; in HTTP/1 the gate is to bound it.
   */
  readonly late?: LateHead | undefined;
  readonly answer?: AnswerGate | undefined;
}

/** Told the body as it will be sent (HTTP/1), or as it came (HTTP/2). @throws GateRefusal */
export type LateHead = (content: Buffer) => Pick<Pass, "target" | "fields">;

export const PASS: Pass = { kind: "pass" };

/**
 * A body on its way, one way. What it holds back is its own to bound. Not asked for a body of nothing, nor
 * to end one that was cut short; of an upgrade, it gets the bytes of the tunnel.
 */
export interface BodyTransform {
  /**
   * How many bytes will have come out, where that is known beforehand. Without it, no length is stated
   * (in answers to HEAD neither): HTTP/1 sends chunks.
   */
  readonly length?: number;
  /** What is sent for this content. @throws GateRefusal */
  push(content: Buffer): Buffer;
  /** What was held back, once all content has come. @throws GateRefusal */
  end(): Buffer;
  /** Whether there is something that {@link letGo} might give. Absent: never. */
  readonly holds?: boolean;
  /**
   * What is held back of a body without a stated length, while nothing more of it comes: its sender may wait
   * for what its recipient says to that. @throws GateRefusal
   */
  letGo?(): Buffer;
  /** Asked after {@link end}, when there are any. @throws GateRefusal */
  trailers?(fields: readonly Field[]): readonly Field[];
  /** Told once, when the exchange is over, however it and the body ended. */
  close?(): void;
}

/** Without a byte of a body, before {@link BodyTransform.letGo}: nobody waits longer in the middle of a word. */
export const LULL_MS = 1_000;

/** Interim and final, as the guest would get it. */
export interface HttpAnswer {
  readonly status: number;
  /** Of HTTP/1; empty in HTTP/2, which has none. */
  readonly phrase: string;
  readonly fields: readonly Field[];
  readonly body: BodyShape;
}

/** What is left out stays as the server sent it. */
export interface AnswerPass {
  readonly phrase?: string;
  readonly fields?: readonly Field[];
  readonly body?: BodyTransform;
  /**
   * The guest gets nothing before the whole of a body whose length is stated, so that it is told the length
   * of what came of it, or gets a page instead. The gate is to bound what waits.
   */
  readonly whole?: boolean;
}

/** Told every head of an answer, interim ones included, before any byte of it. @throws GateRefusal */
export type AnswerGate = (answer: HttpAnswer) => AnswerPass;

/**
 * What has come must go no further. A request ends in a reset. An answer becomes a page, or is cut short
 * where it has begun.
 */
export class GateRefusal extends Error {
  override readonly name = "GateRefusal";
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.reason);
    this.refusal = refusal;
  }
}

/** A gate that only judges. */
export function judging(judge: JudgeRequest): RequestGate {
  return (request) => {
    const refusal = judge(lineOf(request));
    return refusal === null ? PASS : { kind: "refuse", refusal };
  };
}

/** A request that goes on, with what is to be done to its body and its answer. */
export interface Passed {
  readonly request: HttpRequest;
  readonly body: BodyTransform | undefined;
  readonly whole: boolean;
  readonly late: LateHead | undefined;
  readonly answer: AnswerGate | undefined;
}

/** What becomes of a request. */
export type Entry =
  | { readonly kind: "pass"; readonly passed: Passed }
  | { readonly kind: "page"; readonly page: Page; readonly refusal: Refusal }
  | { readonly kind: "reset"; readonly refusal: Refusal };

/** `unreachable`: why there is no server to ask. */
export function enter(
  request: HttpRequest,
  gate: RequestGate,
  unreachable: Refusal | null,
): Entry | Promise<Entry> {
  const verdict = gate(request);
  return verdict instanceof Promise
    ? verdict.then((late) => entryOf(request, late, unreachable))
    : entryOf(request, verdict, unreachable);
}

function entryOf(request: HttpRequest, verdict: Verdict, unreachable: Refusal | null): Entry {
  if (verdict.kind === "reset") return verdict;
  if (verdict.kind === "refuse") {
    const { refusal } = verdict;
    return { kind: "page", page: deniedPage(refusal), refusal };
  }
  if (unreachable !== null) {
    return { kind: "page", page: unreachablePage(unreachable), refusal: unreachable };
  }
  const { body, whole = false, late, answer } = verdict;
  const sent = rewritten(request, verdict);
  if (sent === null) {
    const refusal = { reason: "request-malformed", detail: REPLACED } as const;
    return { kind: "page", page: relayPage(refusal.reason, refusal.detail), refusal };
  }
  return { kind: "pass", passed: { request: sent, body, whole, late, answer } };
}

const REPLACED = "what replaced a part of it";

/** Null for what could not be sent: a value with a line break in it would be two fields, or two requests. */
function rewritten(
  request: HttpRequest,
  { target = request.target, fields = request.fields }: Pick<Pass, "target" | "fields">,
): HttpRequest | null {
  if (target !== request.target && !isTarget(target, request.method)) return null;
  if (!areSendable(fields, request.fields)) return null;
  return target === request.target && fields === request.fields
    ? request
    : { ...request, target, fields };
}

/** The request with the head that waited for its body. @throws GateRefusal, MalformedHttp */
export function passLate({ request, late }: Passed, content: Buffer): HttpRequest {
  const sent = late === undefined ? request : rewritten(request, late(content));
  if (sent === null) throw unsendable();
  return sent;
}

/** An answer that goes on. */
export interface PassedAnswer {
  readonly phrase: string;
  readonly fields: readonly Field[];
  readonly body: BodyTransform | undefined;
  readonly whole: boolean;
}

/** @throws GateRefusal, MalformedHttp */
export function passAnswer(answer: HttpAnswer, gate: AnswerGate | undefined): PassedAnswer {
  const { phrase, fields } = answer;
  if (gate === undefined) return { phrase, fields, body: undefined, whole: false };
  const pass = gate(answer);
  const { body, whole = false } = pass;
  const passed = { phrase: pass.phrase ?? phrase, fields: pass.fields ?? fields, body, whole };
  if (!isFieldValue(passed.phrase) || !areSendable(passed.fields, fields)) {
    body?.close?.();
    throw unsendable();
  }
  return passed;
}

/** @throws GateRefusal, MalformedHttp */
export function passTrailers(
  fields: readonly Field[],
  transform: BodyTransform | undefined,
): readonly Field[] {
  if (fields.length === 0 || transform?.trailers === undefined) return fields;
  const passed = transform.trailers(fields);
  if (!areSendable(passed, fields)) throw unsendable();
  return endToEndTrailers(passed);
}

/** `sent`: what came, which was read as such. What a gate left as it was is the very same. */
function areSendable(fields: readonly Field[], sent: readonly Field[]): boolean {
  if (fields === sent) return true;
  let at = 0;
  for (const field of fields) {
    const next = sent.indexOf(field, at);
    if (next >= 0) at = next + 1;
    else if (!isSendable(field, sent[at])) return false;
  }
  return true;
}

/** `instead`: the field that it may stand in the place of. */
function isSendable({ name, key, value }: Field, instead: Field | undefined): boolean {
  const isNamed = name === instead?.name && key === instead.key ||
    isToken(name) && key === name.toLowerCase();
  return isNamed && isFieldValue(value) && value === trim(value);
}

function unsendable(): MalformedHttp {
  return new MalformedHttp(REPLACED);
}

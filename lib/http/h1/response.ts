/**
 * From a head that a server sent to what the guest may see of it. Pure.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { withoutAlternatives } from "../alternatives.ts";
import { BodyFlow } from "../body_flow.ts";
import { endToEnd, field, valuesOf, withLength } from "../fields.ts";
import { type AnswerGate, passAnswer, type PassedAnswer } from "../gate.ts";
import type { Page } from "../refusal.ts";
import { type BodyShape, NO_BODY } from "../request.ts";
import { type Framing, persists, responseFraming, sentFraming, shapeOf } from "./framing.ts";
import { type ResponseHead, writeResponseHead } from "./head.ts";
import type { H1Request } from "./request.ts";

/** What the guest is sent of a head. */
type Outgoing = Omit<ResponseHead, "minor">;

/** A final response. */
export interface H1Response {
  /** How the server's body ends. */
  readonly framing: Framing;
  /** How the guest is told that it ends; differs for a guest that does not know chunks. */
  readonly outgoingFraming: Framing;
  readonly flow: BodyFlow;
  /** Whether both connections can carry another exchange. */
  readonly persists: boolean;
  readonly outgoing: Outgoing;
  /** The outgoing head states no length yet, and waits until the body is whole. */
  readonly late: boolean;
}

/** `last`: no other request may follow, whatever both sides say. @throws GateRefusal, MalformedHttp */
export function readResponse(
  head: ResponseHead,
  request: H1Request,
  gate: AnswerGate | undefined,
  last: boolean,
): H1Response {
  const framing = responseFraming(head, request.line.method);
  const shape = shapeOf(framing);
  const passed = pass(head, shape, gate);
  const flow = new BodyFlow(shape, statedLength(head), passed.body);
  const late = passed.whole && framing.kind === "length" && !flow.isPlain;
  const outgoingFraming = late ? framing : sentFraming(framing, flow, request.minor === 1);
  const keep = !last && request.persists && persists(head) && outgoingFraming.kind !== "close";
  const fields = withLength(passed.fields, flow.length);
  if (outgoingFraming.kind === "chunked") fields.push(field("Transfer-Encoding", "chunked"));
  if (!keep) fields.push(field("Connection", "close"));
  else if (request.minor === 0) fields.push(field("Connection", "keep-alive"));
  const outgoing = { status: head.status, reason: passed.phrase, fields };
  return { framing, outgoingFraming, flow, persists: keep, outgoing, late };
}

/** The head of an answer that is whole. */
export function lateHead({ outgoing }: H1Response, length: number): Outgoing {
  return { ...outgoing, fields: withLength(outgoing.fields, length) };
}

/** A response between the request and the final one (RFC 9110 15.2). @throws GateRefusal, MalformedHttp */
export function interimResponse(head: ResponseHead, gate: AnswerGate | undefined): Outgoing {
  const { phrase, fields } = pass(head, NO_BODY, gate);
  return { status: head.status, reason: phrase, fields: withLength(fields, null) };
}

/** The 2xx to CONNECT, behind which nothing is HTTP; it has no content, whatever it says (RFC 9110 9.3.6). @throws GateRefusal, MalformedHttp */
export function tunnelResponse(head: ResponseHead, gate: AnswerGate | undefined) {
  const shape: BodyShape = { kind: "upgrade" };
  const { phrase, fields, body } = pass(head, shape, gate);
  const outgoing = { status: head.status, reason: phrase, fields: withLength(fields, null) };
  return { outgoing, flow: new BodyFlow(shape, null, body) };
}

/** The 101 that ends HTTP on a connection, and what comes after it. @throws GateRefusal, MalformedHttp */
export function switchingResponse(head: ResponseHead, gate: AnswerGate | undefined) {
  const shape: BodyShape = { kind: "upgrade" };
  const { phrase, fields, body } = pass(head, shape, gate);
  const kept = withLength(fields, null);
  kept.push(field("Upgrade", "websocket"), field("Connection", "Upgrade"));
  const outgoing = { status: head.status, reason: phrase, fields: kept };
  return { outgoing, flow: new BodyFlow(shape, null, body) };
}

/** A page in the server's stead, which is the last answer on its connection. `method`: of the request, where there was one. */
export function pageResponse(page: Page, method: string | undefined): readonly Buffer[] {
  const { status, phrase: reason, body } = page;
  const fields = [...page.fields, field("Connection", "close")];
  const head = writeResponseHead({ status, reason, fields });
  return method === "HEAD" ? [head] : [head, body];
}

function pass(head: ResponseHead, body: BodyShape, gate: AnswerGate | undefined): PassedAnswer {
  const fields = withoutAlternatives(endToEnd(head.fields));
  const { status, reason: phrase } = head;
  const passed = passAnswer({ status, phrase, fields, body }, gate);
  return passed.fields === fields ? passed : { ...passed, fields: endToEnd(passed.fields) };
}

/**
 * What its Content-Length says, also where no body follows. RFC 9110 8.6: a 204 has none whatever it claims,
 * and some recipients believe the claim.
 */
function statedLength({ status, fields }: ResponseHead): number | null {
  const [length] = valuesOf(fields, "content-length");
  return length === undefined || status === 204 ? null : Number(length);
}

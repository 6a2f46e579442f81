/**
 * From a head that a server sent to what the guest may see of it. Pure.
 *
 * @module
 */
import { endToEnd, type Field } from "./fields.ts";
import { type Framing, persists, responseFraming } from "./h1_framing.ts";
import { field, type ResponseHead } from "./h1_head.ts";
import type { H1Request } from "./h1_request.ts";

/** A final response. */
export interface H1Response {
  /** How the server's body ends. */
  readonly framing: Framing;
  /** How the guest is told that it ends; differs for a guest that does not know chunks. */
  readonly outgoingFraming: Framing;
  /** Whether both connections can carry another exchange. */
  readonly persists: boolean;
  readonly outgoing: Omit<ResponseHead, "minor">;
}

/** `last`: no other request may follow, whatever both sides say. @throws MalformedHttp */
export function readResponse(head: ResponseHead, request: H1Request, last: boolean): H1Response {
  const framing = responseFraming(head, request.line.method);
  const chunks = framing.kind === "chunked" && request.minor === 1;
  const outgoingFraming: Framing = framing.kind === "chunked" && !chunks
    ? { kind: "close" }
    : framing;
  const keep = !last && request.persists && persists(head) && outgoingFraming.kind !== "close";
  const fields = withoutLength(head, endToEnd(head.fields));
  if (chunks) fields.push(field("Transfer-Encoding", "chunked"));
  if (!keep) fields.push(field("Connection", "close"));
  else if (request.minor === 0) fields.push(field("Connection", "keep-alive"));
  const { status, reason } = head;
  return { framing, outgoingFraming, persists: keep, outgoing: { status, reason, fields } };
}

/** A response between the request and the final one (RFC 9110 15.2). */
export function interimResponse({ status, reason, fields }: ResponseHead) {
  return { status, reason, fields: withoutLength({ status }, endToEnd(fields)) };
}

/** The 101 that ends HTTP on a connection. */
export function switchingResponse({ status, reason, fields }: ResponseHead) {
  const kept = withoutLength({ status }, endToEnd(fields));
  kept.push(field("Upgrade", "websocket"), field("Connection", "Upgrade"));
  return { status, reason, fields: kept };
}

/** RFC 9110 8.6: these have no body whatever they claim, and some recipients believe the claim. */
function withoutLength({ status }: Pick<ResponseHead, "status">, fields: Field[]): Field[] {
  if (status >= 200 && status !== 204) return fields;
  return fields.filter(({ key }) => key !== "content-length");
}

/**
 * What becomes of the answer to a request to a host with secrets: values in it become placeholders again,
 * in every head, in trailers, and in the body, which is decoded for it and encoded again. An answer that
 * cannot be read goes no further.
 *
 * A body on its way is held back no longer than what may be the beginning of a value. Only one that is
 * small and states its length waits until it is whole, so that its length is right. One that is large, a
 * part of one (206), and what is no text keep theirs, with something in the place of a value that is as long.
 *
 * @module
 */
import { recalling } from "../base/recall.ts";
import { type Field, listOf, valuesOf } from "../http/fields.ts";
import type { AnswerGate, AnswerPass, HttpAnswer } from "../http/gate.ts";
import type { BodyShape, HttpRequest } from "../http/request.ts";
import { bodyKindOf } from "../secret/body_kind.ts";
import type { Coding } from "../secret/coder.ts";
import { codingsOf } from "../secret/content_coding.ts";
import type { HeldSecret } from "../secret/grant.ts";
import { Mask } from "../secret/mask.ts";
import type { SecretUse } from "../secret/report.ts";
import type { Vault } from "../secret/vault.ts";
import { CurrentMask } from "./current_mask.ts";
import { MaskTally } from "./mask_tally.ts";
import { Loan, MaskedContent } from "./masked_content.ts";
import { MaskedFrames } from "./masked_frames.ts";
import { isMessages, MaskedMessages } from "./masked_messages.ts";
import { EXTENSIONS, MESSAGE_CODINGS } from "./readable.ts";
import { withoutDigests } from "./request_body.ts";
import { issuerOf, TokenFilter, type TokenFilterSpec } from "./token_filter.ts";
import { unreadable } from "./unreadable.ts";

export interface AnswerGateSpec {
  /** As the guest sent it. */
  readonly request: HttpRequest;
  readonly vault: Vault;
  /** Told once an answer of what was replaced in it, when it is over. */
  readonly onUse: (use: SecretUse) => void;
}

/** Undefined where nothing is to be done. */
export function answerGate({ request, vault, onUse }: AnswerGateSpec): AnswerGate | undefined {
  const { host } = request.authority;
  const issuer = issuerOf(vault, request);
  if (issuer === null && maskFor(vault.known(host)).isEmpty) return undefined;
  const tally = new MaskTally(host, onUse);
  // What was read of a source meanwhile, or came with a token, may be in it as well.
  const mask = () => maskFor(vault.known(host));
  return (answer) => {
    const isGrant = answer.status >= 200 && answer.status < 300;
    const tokens = issuer === null || !isGrant ? null : { vault, issuer, mask };
    return passAnswer(answer, mask, tally, tokens);
  };
}

const MASKS = new WeakMap<readonly HeldSecret[], Mask>();

function maskFor(known: readonly HeldSecret[]): Mask {
  const mask = MASKS.get(known) ?? new Mask(known);
  MASKS.set(known, mask);
  return mask;
}

/** @throws GateRefusal secret-unreadable */
function passAnswer(
  answer: HttpAnswer,
  current: () => Mask,
  tally: MaskTally,
  tokens: Omit<TokenFilterSpec, "contentType"> | null,
): AnswerPass {
  const { status, body } = answer;
  const mask = current();
  const { fields, masked } = mask.fields(answer.fields);
  const head = { phrase: mask.text(answer.phrase), fields };
  tally.add("header", masked);
  if (status < 200 && status !== 101) return head;
  if (body.kind === "none" || body.kind === "length" && body.length === 0) {
    tally.tell();
    return head;
  }
  if (body.kind === "upgrade") {
    if (valuesOf(fields, EXTENSIONS).length > 0) throw unreadable("a WebSocket with an extension");
    const filter = new MaskedFrames(() => new CurrentMask(current, fittedBody));
    return { ...head, body: new MaskedContent({ filter, mask: current, tally, ...PLAIN }) };
  }
  const codings = readableCodings(answer);
  const types = valuesOf(fields, "content-type");
  const mayGrow = tokens !== null || status !== 206 && types.every(isTextType);
  const { fitted, length, waits } = contentOf(body, codings, mayGrow);
  const contentType = types.join();
  const filter = tokens !== null
    ? new TokenFilter({ ...tokens, contentType })
    : isMessages(contentType)
    ? new MaskedMessages(new CurrentMask(current, fittedBody))
    : new CurrentMask(current, fitted ? fittedBody : anyBody);
  return {
    phrase: head.phrase,
    fields: codings.length === 0 ? fields : withoutDigests(fields),
    body: new MaskedContent({ filter, mask: current, tally, codings, length, waits }),
    whole: waits !== null,
  };
}

const fittedBody = (mask: Mask) => mask.fittedBody();
const anyBody = (mask: Mask) => mask.body();

const PLAIN = { codings: [], length: null, waits: null };

/** @throws GateRefusal secret-unreadable */
function readableCodings({ status, fields }: HttpAnswer): readonly Coding[] {
  const codings = codingsOf(valuesOf(fields, "content-encoding"));
  if (codings === null) throw unreadable("a content coding that is not known");
  if (codings.length > 0 && status === 206) throw unreadable("a part of what is coded");
  // RFC 3229, and RPC that is compressed message by message.
  if (status === 226 || fields.some(isOdd)) throw unreadable("a coding of another kind");
  return codings;
}

function isOdd(field: Field): boolean {
  if (field.key === "im") return true;
  return MESSAGE_CODINGS.includes(field.key) &&
    listOf([field], field.key).some((coding) => coding !== "identity");
}

/** How content keeps to its form and to a length that was stated. */
interface Content {
  /** What stands for a value is as long as that. */
  readonly fitted: boolean;
  /** It is known that it stays. */
  readonly length: number | null;
  /** It is the right one, once it is known. */
  readonly waits: Loan | null;
}

function contentOf(body: BodyShape, codings: readonly Coding[], mayGrow: boolean): Content {
  const length = body.kind === "length" ? body.length : null;
  const isCoded = codings.length > 0;
  const waits = length !== null && (mayGrow || isCoded) ? Loan.of(length) : null;
  const fitted = !mayGrow || length !== null && waits === null && !isCoded;
  return { fitted, length: fitted && !isCoded ? length : null, waits };
}

/** What is no text has lengths of its own inside: images, archives, messages of gRPC. */
const isTextType = recalling((type) => bodyKindOf(type) !== null);

/**
 * A request that its guest signed with the placeholders of a pair: it leaves with the signature that the
 * keys themselves make. The last step of all on a head, which signs what is sent.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { formatAuthority } from "../http/authority.ts";
import { Budget } from "../http/budget.ts";
import type { Refusal } from "../http/exchange.ts";
import type { Field } from "../http/fields.ts";
import { type BodyTransform, GateRefusal, type LateHead, type Pass } from "../http/gate.ts";
import type { HttpRequest } from "../http/request.ts";
import { ChunkFault } from "../secret/aws/chunks.ts";
import { type Pair, signAgain, type SignedAgain } from "../secret/aws/sign_again.ts";
import { type ReadSignature, readSignature, withoutSignature } from "../secret/aws/signature.ts";
import type { SecretUse } from "../secret/report.ts";
import type { KeptSecret } from "../secret/vault.ts";
import { ByteQueue } from "../wire/byte_queue.ts";

export interface SignedRequestSpec {
  /** As the guest sent it. */
  readonly request: HttpRequest;
  /** All that was changed in its head. */
  readonly changed: Pick<HttpRequest, "target" | "fields">;
  readonly pairs: readonly Pair[];
  /** What its body passes before; undefined: it has none. */
  readonly body: BodyTransform | undefined;
  readonly onUse: (use: SecretUse) => void;
}

export type SignedRequest =
  /** Not with the placeholders of these pairs. */
  | { readonly kind: "none" }
  | {
    readonly kind: "signed";
    /** What is changed by it. */
    readonly pass: Pick<Pass, "target" | "fields" | "body" | "late">;
    /** Of the pair, as it was declared. */
    readonly name: string;
  }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** Without the signature of a pair of these, which is no credential of the guest's own; else the same. */
export function withoutOwnSignature(
  request: HttpRequest,
  secrets: readonly KeptSecret[],
): HttpRequest {
  if (!secrets.some(({ secret }) => secret.aws !== undefined)) return request;
  const read = readSignature(request);
  if (read.kind !== "signed") return request;
  const isOwn = secrets.some(({ secret, placeholder }) =>
    secret.aws?.part?.kind === "id" && placeholder.text === read.signature.id
  );
  return isOwn ? withoutSignature(request, read.signature) : request;
}

export function signRequest(spec: SignedRequestSpec): SignedRequest {
  const { request, pairs, body, onUse } = spec;
  if (pairs.length === 0) return { kind: "none" };
  const read = readSignature(request);
  const { body: shape } = request;
  const isEmpty = body === undefined || shape.kind === "upgrade" ||
    shape.kind === "length" && shape.length === 0;
  const result = signedWith(spec, read, isEmpty ? Buffer.alloc(0) : null);
  switch (result.kind) {
    case "none":
      return result;
    case "refused":
      return { kind: "refused", refusal: refusalOf(result.why) };
    case "signed": {
      tell(request, result, onUse);
      const { head: { target, fields }, name, body: chunks } = result;
      const signed = body === undefined || chunks === null ? {} : { body: chunked(body, chunks) };
      return { kind: "signed", name, pass: { target, fields, ...signed } };
    }
    case "wanting": {
      if (request.fields.some(({ key }) => key === "expect")) {
        return {
          kind: "refused",
          refusal: refusalOf("its body waits for an answer of the server"),
        };
      }
      const late: LateHead = (content) => {
        const ripe = signedWith(spec, read, content);
        if (ripe.kind !== "signed") throw new GateRefusal(refusalOf(whyOf(ripe)));
        tell(request, ripe, onUse);
        return ripe.head;
      };
      const held = body === undefined ? {} : { body: new Gathering(body) };
      return { kind: "signed", name: result.name, pass: { late, ...held } };
    }
  }
}

function signedWith(
  { request, changed, pairs }: SignedRequestSpec,
  read: ReadSignature,
  body: Buffer | null,
): SignedAgain<Field> {
  const { method, target, fields } = request;
  const host = formatAuthority(request.authority);
  const sent = { method, target, fields };
  return signAgain({ sent, changed: { method, ...changed }, host, read, pairs, body });
}

function tell(
  { authority: { host } }: HttpRequest,
  { name, place }: { readonly name: string; readonly place: "header" | "query" },
  onUse: (use: SecretUse) => void,
): void {
  onUse({ name, host, what: "sent", place, count: 1 });
}

function whyOf(result: SignedAgain<Field>): string {
  return result.kind === "refused" ? result.why : "it was changed after it was signed";
}

function refusalOf(detail: string): Refusal {
  return { reason: "aws-signature", detail };
}

/** Whoever stops a body was right to; whoever changes one is asked behind it. */
function chunked(
  body: BodyTransform,
  chunks: { push(bytes: Buffer): Buffer; end(): Buffer },
): BodyTransform {
  return {
    ...(body.length === undefined ? {} : { length: body.length }),
    push: (content) => proven(() => chunks.push(body.push(content))),
    end: () => proven(() => Buffer.concat([chunks.push(body.end()), chunks.end()])),
    trailers: (fields) => body.trailers?.(fields) ?? fields,
    close: () => body.close?.(),
  };
}

function proven<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (error instanceof ChunkFault) throw new GateRefusal(refusalOf(error.message));
    throw error;
  }
}

/** What one body may be, and all that wait together. */
const MOST_GATHERED = 16 << 20;
const GATHERED = new Budget(128 << 20);

/** A body that waits until it is whole. */
class Gathering implements BodyTransform {
  readonly #body: BodyTransform;
  readonly #content = new ByteQueue();
  #borrowed = 0;

  constructor(body: BodyTransform) {
    this.#body = body;
  }

  push(content: Buffer): Buffer {
    const passed = this.#body.push(content);
    const size = this.#borrowed + passed.length;
    if (size > MOST_GATHERED || !GATHERED.borrow(passed.length)) {
      throw new GateRefusal(refusalOf("its signature covers a body too large to wait for"));
    }
    this.#borrowed = size;
    this.#content.pushCopy(passed);
    return Buffer.alloc(0);
  }

  end(): Buffer {
    return Buffer.concat([this.#content.takeAll(), this.#body.end()]);
  }

  trailers(fields: readonly Field[]): readonly Field[] {
    return this.#body.trailers?.(fields) ?? fields;
  }

  close(): void {
    GATHERED.giveBack(this.#borrowed);
    this.#borrowed = 0;
    this.#content.clear();
    this.#body.close?.();
  }
}

/** Names of secrets that are not parts of this pair, which are where they are to be. */
export function besidesPair(
  names: readonly string[],
  secrets: readonly KeptSecret[],
  pair: string,
): readonly string[] {
  const parts = secrets.filter(({ secret }) => secret.aws?.part?.of === pair);
  return names.filter((name) => !parts.some(({ secret }) => secret.name === name));
}

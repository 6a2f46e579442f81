/**
 * The body of a request on its way: watched as the guest sent it, in its content coding or not, and with
 * values put in where a secret of its host has the place `body`.
 *
 * What cannot be read is stopped where a value could belong into it, or where it is not in the coding that
 * it states. A body in a coding that sbx does not know passes where no value could be meant.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Refusal } from "../http/exchange.ts";
import { type Field, valuesOf } from "../http/fields.ts";
import { type BodyTransform, GateRefusal } from "../http/gate.ts";
import type { HttpRequest } from "../http/request.ts";
import { type BodyKind, bodyKindOf } from "../secret/body_kind.ts";
import { codingsOf, type Filter, Recoder } from "../secret/content_coding.ts";
import { Decoding } from "../secret/decoding.ts";
import type { Grant } from "../secret/grant.ts";
import type { SecretUse } from "../secret/report.ts";
import { type BodySubstitution, substituteBody } from "../secret/substitute_body.ts";
import type { Lookout, StreamLookout } from "./lookout.ts";
import { readably, unreadable } from "./unreadable.ts";
import { NONE, placed, usesOf } from "./uses.ts";

export interface RequestBodySpec {
  /** As the guest sent it. */
  readonly request: HttpRequest;
  /** Those of this request. */
  readonly grants: readonly Grant[];
  readonly lookout: Lookout;
  /** Told when the body is over. */
  readonly onUse: (use: SecretUse) => void;
}

export interface BodyPlan {
  readonly transform: BodyTransform;
  /** Those of the head, without what is not true any more or would be in the way. */
  readonly fields: (fields: readonly Field[]) => readonly Field[];
  /** It may wait until it is whole, for the sake of its length. */
  readonly whole: boolean;
}

/**
 * Bodies of a stated length up to here wait, so that their new length can be stated: some servers take no
 * chunks (411), and others read none and see an empty body. Longer ones are no forms.
 */
const MOST_WAITING = 1 << 20;

export function planBody(spec: RequestBodySpec): BodyPlan | Refusal {
  const { request: { fields, body }, grants } = spec;
  const kind = kindOf(fields);
  const changes = kind !== null && grants.some(({ secret }) => secret.places.has("body"));
  const codings = codingsOf(valuesOf(fields, "content-encoding"));
  if (codings === null && changes) return unreadable("its content coding is not known").refusal;
  const substitution = changes ? substituteBody(kind, grants) : null;
  const text = new Text(spec.lookout.watch("request"), substitution);
  const steps = codings === null || codings.length === 0
    ? new Plain(text)
    : changes
    ? new Recoder(codings, text)
    : new Inspection(new Decoding(codings, (piece) => void text.push(piece)));
  const stated = body.kind === "length" ? body.length : null;
  const isKept = !changes || substitution?.keepsLength === true && codings?.length === 0;
  const transform = new RequestBody(spec, text, steps, isKept ? stated : null);
  const whole = !isKept && stated !== null && stated <= MOST_WAITING;
  return { transform, fields: changes ? withoutDigests : (all) => all, whole };
}

/** Digests of what the guest sent; what the server gets has others. */
const DIGESTS: ReadonlySet<string> = new Set([
  "content-md5",
  "digest",
  "content-digest",
  "repr-digest",
]);

export function withoutDigests(fields: readonly Field[]): readonly Field[] {
  return fields.filter(({ key }) => !DIGESTS.has(key));
}

/** Null also for a part of something: a placeholder may be cut in two, and what follows would move. */
function kindOf(fields: readonly Field[]): BodyKind | null {
  const [type, ...more] = valuesOf(fields, "content-type");
  if (type === undefined || more.length > 0) return null;
  return valuesOf(fields, "content-range").length > 0 ? null : bodyKindOf(type);
}

interface Steps extends Filter {
  close?(): void;
}

class RequestBody implements BodyTransform {
  readonly length?: number;
  readonly #spec: RequestBodySpec;
  readonly #text: Text;
  readonly #steps: Steps;
  #isTold = false;

  constructor(spec: RequestBodySpec, text: Text, steps: Steps, length: number | null) {
    this.#spec = spec;
    this.#text = text;
    this.#steps = steps;
    if (length !== null) this.length = length;
  }

  push(content: Buffer): Buffer {
    return readably(() => this.#steps.push(content));
  }

  end(): Buffer {
    const rest = readably(() => this.#steps.end());
    this.#tell();
    return rest;
  }

  get holds(): boolean {
    return this.#steps.holds === true;
  }

  letGo(): Buffer {
    return readably(() => this.#steps.letGo?.() ?? Buffer.alloc(0));
  }

  /** Never get a value. */
  trailers(fields: readonly Field[]): readonly Field[] {
    const { lookout, request: { authority }, onUse } = this.#spec;
    const { violation, home } = lookout.trailers(fields);
    if (violation !== null) throw new GateRefusal(violation);
    for (const use of usesOf(authority.host, NONE, home, "elsewhere")) onUse(use);
    return this.#text.changes ? withoutDigests(fields) : fields;
  }

  close(): void {
    this.#steps.close?.();
    this.#tell();
  }

  #tell(): void {
    if (this.#isTold) return;
    this.#isTold = true;
    const { request: { authority }, onUse } = this.#spec;
    for (const use of this.#text.uses(authority.host)) onUse(use);
  }
}

/** What values may add to a body; a guest decides how often they stand in it. */
const MOST_GROWTH = 1 << 20;

/** What the guest wrote, out of its coding. */
class Text implements Filter {
  readonly #lookout: StreamLookout;
  readonly #substitution: BodySubstitution | null;
  #growth = 0;

  constructor(lookout: StreamLookout, substitution: BodySubstitution | null) {
    this.#lookout = lookout;
    this.#substitution = substitution;
  }

  get changes(): boolean {
    return this.#substitution !== null;
  }

  push(bytes: Buffer): Buffer {
    this.#lookout.push(bytes);
    if (this.#substitution === null) return bytes;
    const out = this.#substitution.push(bytes);
    this.#growth += out.length - bytes.length;
    if (this.#growth > MOST_GROWTH) throw unreadable("too many values");
    return out;
  }

  end(): Buffer {
    return this.#substitution?.end() ?? Buffer.alloc(0);
  }

  get holds(): boolean {
    return this.#substitution?.holds === true;
  }

  letGo(): Buffer {
    return this.#substitution?.letGo?.() ?? Buffer.alloc(0);
  }

  uses(host: string): readonly SecretUse[] {
    const counted = this.#substitution === null ? NONE : placed(this.#substitution, "body");
    return usesOf(host, counted, this.#lookout.home, "body");
  }
}

/** So that what a piece of nothing but placeholders becomes is bounded. */
const SLICE = 8_192;

class Plain implements Steps {
  readonly #text: Text;

  constructor(text: Text) {
    this.#text = text;
  }

  push(content: Buffer): Buffer {
    if (!this.#text.changes || content.length <= SLICE) return this.#text.push(content);
    const out: Buffer[] = [];
    let isSame = true;
    for (let at = 0; at < content.length; at += SLICE) {
      const slice = content.subarray(at, at + SLICE);
      const pushed = this.#text.push(slice);
      isSame &&= pushed === slice;
      out.push(pushed);
    }
    return isSame ? content : Buffer.concat(out);
  }

  end(): Buffer {
    return this.#text.end();
  }

  get holds(): boolean {
    return this.#text.holds;
  }

  letGo(): Buffer {
    return this.#text.letGo();
  }
}

/** Goes on as it came. */
class Inspection implements Steps {
  readonly #decoding: Decoding;

  constructor(decoding: Decoding) {
    this.#decoding = decoding;
  }

  push(content: Buffer): Buffer {
    this.#decoding.push(content);
    return content;
  }

  end(): Buffer {
    this.#decoding.end();
    return Buffer.alloc(0);
  }

  close(): void {
    this.#decoding.close();
  }
}

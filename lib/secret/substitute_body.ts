/**
 * Puts granted values into the body of a request, while it passes: each in the escapes of the text that
 * it stands in, and as if the whole had been there, however it was cut.
 *
 * A body of a kind that is not known passes as it is, and so does one in a content coding, unless its
 * caller decodes it before and encodes it behind. Only the outermost text is known: in JSON that stands
 * inside a string of JSON, a value with quotation marks or backslashes in it arrives otherwise.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { type BodyKind, bodyKindOf, escapeFor, type TextKind, writtenIn } from "./body_kind.ts";
import type { Place } from "../policy/model/secret.ts";
import type { Grant } from "./grant.ts";
import { MultipartReader } from "./multipart.ts";
import { type Replacement, Replacements, type ReplacingStream } from "./replace.ts";

interface Substitution extends Replacement {
  readonly name: string;
}

/** How often the placeholder of the secret stood there. */
export interface BodyTally {
  readonly name: string;
  readonly count: number;
}

/** One body, in pieces of any size. */
export interface BodySubstitution {
  /**
   * Whether the body keeps its length. Else the caller takes back what was said of it: `Content-Length`
   * and digests.
   */
  readonly keepsLength: boolean;
  /** What may go on. May share memory with the piece. */
  push(bytes: Uint8Array): Buffer;
  /** The rest. */
  end(): Buffer;
  /** As {@link ReplacingStream.holds}. Absent: never, as in parts, whose ends are stated. */
  readonly holds?: boolean;
  /** As {@link ReplacingStream.letGo}. Should the rest of that placeholder come, it stays one. */
  letGo?(): Buffer;
  /** Values that were put in. */
  readonly used: readonly BodyTally[];
  /** Placeholders that went on as they are: their secret is not for bodies, or the body is of no known kind. */
  readonly inert: readonly BodyTally[];
}

/** `kind`: null when it is not known; `grants`: those of this very request; `place`: what the body is. */
export function substituteBody(
  kind: BodyKind | null,
  grants: readonly Grant[],
  place: "body" | "websocket" = "body",
): BodySubstitution {
  const texts = new Texts(grants, place);
  return kind?.kind === "multipart"
    ? new MultipartSubstitution(kind.boundary, texts)
    : new TextSubstitution(kind?.kind ?? null, texts);
}

/** The grants in each kind of text, made when a text of that kind is met. */
class Texts {
  readonly used = new Map<string, number>();
  readonly inert = new Map<string, number>();
  readonly #grants: readonly Grant[];
  readonly #place: Place;
  readonly #made = new Map<TextKind | null, Replacements<Substitution>>();

  constructor(grants: readonly Grant[], place: Place) {
    this.#grants = grants;
    this.#place = place;
  }

  /** Null: nothing is put in, only counted. */
  in(kind: TextKind | null): Replacements<Substitution> {
    const made = this.#made.get(kind) ?? new Replacements(this.#list(kind));
    this.#made.set(kind, made);
    return made;
  }

  open(kind: TextKind | null): ReplacingStream<Substitution> {
    return this.in(kind).stream(({ name, to }) => {
      const counts = to === null ? this.inert : this.used;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }, "left");
  }

  #list(kind: TextKind | null): Substitution[] {
    return this.#grants.flatMap((grant) => {
      const { secret: { name, places }, placeholder: { text } } = grant;
      const to = kind !== null && places.has(this.#place) ? escapeFor(kind, grant.reveal()) : null;
      return writtenIn(kind ?? "form", text).map((from) => ({
        name,
        from: Buffer.from(from, "latin1"),
        to,
      }));
    });
  }
}

function all(counts: ReadonlyMap<string, number>): BodyTally[] {
  return [...counts].map(([name, count]) => ({ name, count }));
}

class TextSubstitution implements BodySubstitution {
  readonly keepsLength: boolean;
  readonly #texts: Texts;
  readonly #stream: ReplacingStream<Substitution>;

  constructor(kind: TextKind | null, texts: Texts) {
    this.#texts = texts;
    this.#stream = texts.open(kind);
    this.keepsLength = texts.in(kind).keepsLength;
  }

  push(bytes: Uint8Array): Buffer {
    return this.#stream.push(bytes);
  }

  end(): Buffer {
    return this.#stream.end();
  }

  get holds(): boolean {
    return this.#stream.holds;
  }

  letGo(): Buffer {
    return this.#stream.letGo();
  }

  get used(): BodyTally[] {
    return all(this.#texts.used);
  }

  get inert(): BodyTally[] {
    return all(this.#texts.inert);
  }
}

/** Each part is a text of its own kind. */
class MultipartSubstitution implements BodySubstitution {
  readonly keepsLength: boolean;
  readonly #texts: Texts;
  readonly #reader: MultipartReader;
  /** What stands before the first part is in no part. */
  #part: ReplacingStream<Substitution>;
  #out: Buffer[] = [];

  constructor(boundary: string, texts: Texts) {
    this.#texts = texts;
    this.#part = texts.open(null);
    this.keepsLength = (["plain", "json", "form", "xml"] as const)
      .every((kind) => texts.in(kind).keepsLength);
    this.#reader = new MultipartReader(boundary, {
      content: (bytes) => this.#out.push(this.#part.push(bytes)),
      contentEnds: () => this.#out.push(this.#part.end()),
      between: (bytes, head) => {
        const between = this.#texts.open(null);
        this.#out.push(between.push(bytes), between.end());
        this.#part = this.#texts.open(head === null ? null : partKindOf(head));
      },
    });
  }

  push(bytes: Uint8Array): Buffer {
    this.#reader.push(bytes);
    return this.#taken();
  }

  end(): Buffer {
    this.#reader.end();
    return this.#taken();
  }

  get used(): BodyTally[] {
    return all(this.#texts.used);
  }

  get inert(): BodyTally[] {
    return all(this.#texts.inert);
  }

  #taken(): Buffer {
    const out = Buffer.concat(this.#out);
    this.#out = [];
    return out;
  }
}

/** RFC 7578 4.4: what states no type is plain text. A part in a transfer encoding is left alone. */
function partKindOf(head: string): TextKind | null {
  let kind: TextKind | null = "plain";
  for (const line of head.split("\r\n")) {
    const colon = line.indexOf(":");
    const key = line.slice(0, Math.max(0, colon)).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (key === "content-transfer-encoding" && !/^(?:7bit|8bit|binary)$/i.test(value)) return null;
    if (key !== "content-type") continue;
    const stated = bodyKindOf(value);
    kind = stated === null || stated.kind === "multipart" ? null : stated.kind;
  }
  return kind;
}

/**
 * Keeps values out of what servers answer: wherever one stands, in fields and bodies, the guest gets
 * its placeholder. For hosts that may have had the value; a reduction of risk, not a boundary.
 *
 * A body is to be decoded first (`Content-Encoding`), and whatever cannot be read further is to be cut.
 * A part of a value is no value: a server that sends one half in each of two answers is not noticed.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { fittedForms, formsOf } from "./forms.ts";
import type { HeldSecret } from "./grant.ts";
import { type Replacement, Replacements, type ReplacingStream } from "./replace.ts";
import type { HeadField } from "./substitute_head.ts";

/** Bytes. What is shorter stands in answers by chance, and its absence would tell more than its presence. */
const LEAST_MASKED = 8;

interface Masking extends Replacement {
  readonly name: string;
  readonly to: Uint8Array;
}

/** How often the value of the secret was replaced. */
export interface Masked {
  readonly name: string;
  readonly count: number;
}

/** The values that are kept out of the answers of one host. */
export class Mask {
  /** Names of secrets whose values are too short to be looked for. */
  readonly unmasked: readonly string[];
  /**
   * Whether a body keeps its length. Else the caller takes back what was said of it: `Content-Length`,
   * and digests and ranges of the body as well.
   */
  readonly keepsLength: boolean;
  readonly #secrets: readonly HeldSecret[];
  readonly #replacements: Replacements<Masking>;
  #fitted: Replacements<Masking> | null;
  readonly #isEmpty: boolean;

  /** Secrets that say not to be masked are left out. */
  constructor(secrets: readonly HeldSecret[]) {
    const wanted = secrets.filter(({ secret: { mask } }) => mask);
    const isLong = ({ value }: HeldSecret) => Buffer.byteLength(value.reveal()) >= LEAST_MASKED;
    this.unmasked = wanted.filter((one) => !isLong(one)).map(({ secret: { name } }) => name);
    this.#secrets = wanted.filter(isLong);
    this.#replacements = new Replacements(listOf(this.#secrets, formsOf));
    this.#isEmpty = this.#secrets.length === 0;
    this.keepsLength = this.#replacements.keepsLength;
    this.#fitted = this.keepsLength ? this.#replacements : null;
  }

  /** Whether nothing is looked for. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /**
   * Fields of a head or trailers, names included; the very same where nothing was replaced. Those that frame
   * the message are left alone.
   */
  fields<F extends HeadField>(
    fields: readonly F[],
  ): { readonly fields: readonly F[]; readonly masked: readonly Masked[] } {
    if (!fields.some((field) => this.#isIn(field))) return { fields, masked: NOTHING_MASKED };
    const tally = new Tally();
    const masked = fields.map((field) => {
      if (!this.#isIn(field)) return field;
      const value = this.#replacements.text(field.value, tally.add);
      const name = this.#replacements.text(field.name, tally.add);
      return { ...field, name, key: name.toLowerCase(), value };
    });
    return { fields: masked, masked: tally.all() };
  }

  /** A reason phrase, or any other text of one character a byte. */
  text(text: string): string {
    return this.#isEmpty ? text : this.#replacements.text(text);
  }

  #isIn({ name, key, value }: HeadField): boolean {
    if (this.#isEmpty || FRAMING.has(key)) return false;
    return this.#replacements.areIn(value) || this.#replacements.areIn(name);
  }

  body(): MaskedBody {
    return new MaskedBody(this.#replacements);
  }

  /**
   * A body that keeps its length whatever is in it: what stands for a value is as long as that, and no
   * placeholder any more where those differ. For bodies whose length was stated, and parts of them.
   */
  fittedBody(): MaskedBody {
    this.#fitted ??= new Replacements(listOf(this.#secrets, fittedForms));
    return new MaskedBody(this.#fitted);
  }
}

function listOf(secrets: readonly HeldSecret[], forms: typeof formsOf): Masking[] {
  return secrets.flatMap(({ secret: { name }, placeholder, value }) =>
    forms(value.reveal(), placeholder.text).map(([from, to]) => ({ name, from, to }))
  );
}

/** Numbers and dates, without which an answer cannot be read. */
const FRAMING: ReadonlySet<string> = new Set([
  "content-length",
  "transfer-encoding",
  "connection",
  ":status",
]);

/** One body, in pieces of any size. */
export class MaskedBody {
  readonly #tally = new Tally();
  readonly #stream: ReplacingStream<Masking>;

  constructor(replacements: Replacements<Masking>) {
    this.#stream = replacements.stream(this.#tally.add);
  }

  /** What may go on. May share memory with the piece. */
  push(bytes: Uint8Array): Buffer {
    return this.#stream.push(bytes);
  }

  /**
   * The rest. To be called for a body that ends as it should; what was held of another is dropped. What is
   * pushed behind it is a text of its own.
   */
  end(): Buffer {
    return this.#stream.end();
  }

  /** Whether there is something that {@link letGo} might give. */
  get holds(): boolean {
    return this.#stream.holds;
  }

  /**
   * What may be the beginning of a value, if it is short: for whoever may wait for it while nothing more
   * comes. Should the rest of that value come after all, it is replaced.
   */
  letGo(): Buffer {
    return this.#stream.letGo();
  }

  /** What was read and not given, for another mask to read, which takes this one's place; null: not now. */
  handOver(): Uint8Array | null {
    return this.#stream.handOver();
  }

  get masked(): readonly Masked[] {
    return this.#tally.all();
  }
}

const NOTHING_MASKED: readonly Masked[] = [];

class Tally {
  /** Null: nothing was replaced, as in most answers. */
  #counts: Map<string, number> | null = null;

  readonly add = ({ name }: Masking): void => {
    this.#counts ??= new Map();
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  };

  all(): readonly Masked[] {
    if (this.#counts === null) return NOTHING_MASKED;
    return [...this.#counts].map(([name, count]) => ({ name, count }));
  }
}

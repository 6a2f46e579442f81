/**
 * Damaged copies of real captures: flipped bytes, cuts, doubled parts, and parts of one in another. The
 * seed is fixed, so that a failure can be repeated, unless a search for new ones sets it: then
 * `SBX_FUZZ_SEED` begins it, and with `SBX_FUZZ_COUNT` the inputs that were tried are told.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import process from "node:process";

const SEED = 0x2545f491;

/** Calls `visit` with `count` mutations of the corpus. What it throws is said with its input. */
export function mutate(
  corpus: readonly Uint8Array[],
  count: number,
  visit: (sample: Uint8Array) => void,
): void {
  const below = randomFrom(Number(process.env.SBX_FUZZ_SEED ?? SEED));
  for (let i = 0; i < count; i++) {
    const sample = damage(corpus, below);
    try {
      visit(sample);
    } catch (error) {
      // The message is the reproducer: a seed alone dies with the next change of the corpus.
      if (error instanceof Error) error.message += `\ninput: ${reproducer(sample)}`;
      throw error;
    }
  }
  if (process.env.SBX_FUZZ_COUNT !== undefined) process.stderr.write(`fuzz inputs: ${count}\n`);
}

/** One mutation, chosen by a seed. */
export function damaged(corpus: readonly Uint8Array[], seed: number): Uint8Array {
  return damage(corpus, randomFrom(seed));
}

function damage(corpus: readonly Uint8Array[], below: (limit: number) => number): Uint8Array {
  let sample = Uint8Array.from(corpus[below(corpus.length)] ?? []);
  for (let edits = below(6); edits >= 0 && sample.length > 0; edits--) {
    const kind = below(6);
    const at = below(sample.length);
    if (kind < 2) sample[at] = below(256);
    else if (kind === 2) sample = sample.slice(0, at);
    else if (kind === 3) sample = spliced(sample, at, sample.subarray(at, at + 64));
    else if (kind === 4) sample[at] = EDGES[below(EDGES.length)] ?? 0;
    else {
      const other = corpus[below(corpus.length)] ?? sample;
      const from = below(other.length);
      sample = spliced(sample, at, other.subarray(from, from + below(64)));
    }
  }
  return sample;
}

/** Bytes that mean something to parsers: ends of ranges, blanks, line ends, separators. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x09, 0x0a, 0x0d, 0x20, 0x22, 0x2c, 0x2e, 0x3a, 0x3b, 0x5c];

function spliced(sample: Uint8Array, at: number, part: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(sample.length + part.length);
  whole.set(sample.subarray(0, at));
  whole.set(part, at);
  whole.set(sample.subarray(at), at + part.length);
  return whole;
}

/** Numbers below a limit, by xorshift. */
function randomFrom(seed: number): (limit: number) => number {
  let state = seed | 0 || SEED;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % Math.max(1, limit);
  };
}

function reproducer(sample: Uint8Array): string {
  const text = Buffer.from(sample).toString("base64");
  return `Buffer.from("${text}", "base64")`;
}

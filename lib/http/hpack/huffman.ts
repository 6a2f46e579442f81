/**
 * The Huffman code of HPACK (RFC 7541 5.2, appendix B). Pure.
 *
 * The code is canonical, so the lengths of its words are all there is to know: words of one length
 * count up in the order of their symbols, and each length goes on where the one before ended.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { MalformedHttp } from "../malformed.ts";

/** Bits of the word for each byte; appendix B, sixteen to a line. */
const LENGTHS = Uint8Array.from(
  [
    "13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28",
    "28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28",
    "6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6",
    "5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10",
    "13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7",
    "7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6",
    "15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5",
    "6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28",
    "20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23",
    "24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24",
    "22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23",
    "21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23",
    "26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25",
    "19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27",
    "20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23",
    "26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26",
  ].join(" ").split(" ").map(Number),
);

const LONGEST = 30;

/** Symbols in the order of their words. */
const SYMBOLS = [...LENGTHS.keys()].sort((a, b) => (LENGTHS[a] ?? 0) - (LENGTHS[b] ?? 0) || a - b);

/** Of each length: its first word, and how many symbols have shorter ones. */
const FIRST_WORD = new Int32Array(LONGEST + 2);
const FIRST_INDEX = new Int32Array(LONGEST + 2);
for (let length = 1; length <= LONGEST + 1; length++) {
  const shorter = FIRST_INDEX[length - 1] ?? 0;
  const count = SYMBOLS.filter((symbol) => LENGTHS[symbol] === length - 1).length;
  FIRST_WORD[length] = ((FIRST_WORD[length - 1] ?? 0) + count) << 1;
  FIRST_INDEX[length] = shorter + count;
}

/** For each next byte of input: the symbol whose word it begins with, and that word's length, or 0. */
const QUICK = new Uint16Array(256);
for (let byte = 0; byte < 256; byte++) {
  for (let length = 5; length <= 8; length++) {
    const symbol = symbolOf(byte >> (8 - length), length);
    if (symbol !== undefined) {
      QUICK[byte] = symbol << 8 | length;
      break;
    }
  }
}

function symbolOf(word: number, length: number): number | undefined {
  const offset = word - (FIRST_WORD[length] ?? 0);
  const index = (FIRST_INDEX[length] ?? 0) + offset;
  return offset >= 0 && index < (FIRST_INDEX[length + 1] ?? 0) ? SYMBOLS[index] : undefined;
}

/**
 * The text, one character a byte.
 *
 * @throws MalformedHttp for a word that stands for nothing, and for padding that is no padding.
 */
export function decodeHuffman(bytes: Buffer): string {
  const text = Buffer.allocUnsafe(Math.ceil(bytes.length * 8 / 5));
  const end = bytes.length * 8;
  let size = 0;
  let at = 0; // in bits
  while (at < end) {
    const next = peek(bytes, at);
    const quick = QUICK[next] ?? 0;
    let length = quick & 0xff;
    let symbol: number | undefined = quick >> 8;
    if (length === 0) {
      symbol = undefined;
      let word = next;
      for (length = 8; symbol === undefined && length < LONGEST && at + length < end;) {
        word = word << 1 | peek(bytes, at + length) >> 7;
        symbol = symbolOf(word, ++length);
      }
    }
    if (symbol === undefined || at + length > end) break;
    text[size++] = symbol;
    at += length;
  }
  // What is left has to be padding: fewer than eight bits of the end word, which is all ones.
  const left = end - at;
  if (left >= 8 || (peek(bytes, at) >> (8 - left)) !== (1 << left) - 1) {
    throw new MalformedHttp("a malformed Huffman code");
  }
  return text.toString("latin1", 0, size);
}

/** The eight bits from this bit on; zeros behind the end. */
function peek(bytes: Buffer, at: number): number {
  const byte = at >> 3;
  return ((bytes[byte] ?? 0) << 8 | (bytes[byte + 1] ?? 0)) >> (8 - (at & 7)) & 0xff;
}

/**
 * Reading DER (X.690) element by element. Lengths are held against what is there, so a wrong one is
 * a {@link DerFault} and never a read past the end.
 *
 * @module
 */

/** The bytes are not the DER that they should be. */
export class DerFault extends Error {
  override readonly name = "DerFault";
}

export interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag and length included. */
  readonly whole: Uint8Array;
}

/** The one element that the bytes are. */
export function readElement(bytes: Uint8Array): Element {
  const first = elementAt(bytes);
  if (first.whole.length !== bytes.length) throw new DerFault("bytes follow the element");
  return first;
}

/** The elements inside a constructed one. */
export function elementsOf({ content }: Element): readonly Element[] {
  const found: Element[] = [];
  for (let rest = content; rest.length > 0;) {
    const next = elementAt(rest);
    found.push(next);
    rest = rest.subarray(next.whole.length);
  }
  return found;
}

function elementAt(bytes: Uint8Array): Element {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined) throw new DerFault("the element is cut off");
  if ((tag & 0x1f) === 0x1f) throw new DerFault("the tag takes more than one byte");
  const digits = first < 0x80 ? 0 : first & 0x7f;
  // 0x80 is the indefinite length of BER; more than four digits is more than any certificate.
  if (first === 0x80 || digits > 4) throw new DerFault("the length is not one of DER");
  let length = digits === 0 ? first : 0;
  for (const digit of bytes.subarray(2, 2 + digits)) length = length * 256 + digit;
  const start = 2 + digits;
  if (start + length > bytes.length) throw new DerFault("the element is cut off");
  return {
    tag,
    content: bytes.subarray(start, start + length),
    whole: bytes.subarray(0, start + length),
  };
}

/**
 * Arguments, variables and paths of an operating system are bytes, and only mostly UTF-8. As text, each
 * byte that is not is a lone surrogate, U+DC80 to U+DCFF (Python calls it surrogateescape, PEP 383), so
 * that nothing is lost on the way through. Pure.
 *
 * @module
 */

const ESCAPE = 0xdc00;

/** Any bytes as text. */
export function decodeOsString(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return decodeInParts(bytes);
  }
}

/** Cuts at each byte that begins no character, and decodes what lies between. */
function decodeInParts(bytes: Uint8Array): string {
  const parts: string[] = [];
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let from = 0;
  for (let at = 0; at < bytes.length;) {
    const length = characterAt(bytes, at);
    if (length > 0) {
      at += length;
      continue;
    }
    parts.push(decoder.decode(bytes.subarray(from, at)));
    parts.push(String.fromCharCode(ESCAPE + (bytes[at] ?? 0)));
    from = ++at;
  }
  parts.push(decoder.decode(bytes.subarray(from)));
  return parts.join("");
}

/** The length of the character that begins there; 0 for none (RFC 3629 §4). */
function characterAt(bytes: Uint8Array, at: number): number {
  const [first = 0, second = 0] = bytes.subarray(at, at + 2);
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + length > bytes.length) return 0;
  // The shortest form, no surrogates, nothing above U+10FFFF.
  if (first === 0xe0 && second < 0xa0 || first === 0xed && second > 0x9f) return 0;
  if (first === 0xf0 && second < 0x90 || first === 0xf4 && second > 0x8f) return 0;
  const rest = bytes.subarray(at + 1, at + length);
  return rest.every((byte) => byte >> 6 === 0b10) ? length : 0;
}

/** The bytes again. A lone surrogate that stands for no byte becomes U+FFFD, as everywhere. */
export function encodeOsString(text: string): Uint8Array {
  const encoder = new TextEncoder();
  if (text.isWellFormed()) return encoder.encode(text);
  const parts = text.split(/([\udc80-\udcff])/u).map((part, index) =>
    index % 2 === 0 ? encoder.encode(part) : Uint8Array.of(part.charCodeAt(0) - ESCAPE)
  );
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

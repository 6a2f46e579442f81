/**
 * One layer of escapes undone by an engine that shares no code with `lib/secret/unescape.ts`.
 *
 * @module
 */

/** One character a byte. */
export function unescaped(text: string): string {
  const escape =
    /%([0-9A-Fa-f]{2})|\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})|\\(?![ux])([^])|&#([xX][0-9A-Fa-f]{1,9}(?![0-9A-Fa-f])|[0-9]{1,10}(?![0-9]))(;?)/y;
  let out = "";
  for (let at = 0; at < text.length;) {
    escape.lastIndex = at;
    const match = escape.exec(text);
    if (match === null) {
      out += text[at++];
      continue;
    }
    at += match[0].length;
    const [, two, four, x, other, html] = match;
    const code = html === undefined
      ? parseInt(two ?? four ?? x ?? "", 16)
      : Number(html.replace(/^[xX]/, "0x"));
    out += other === undefined
      ? code < 128 ? String.fromCharCode(code) : "\xff"
      : "nrt".includes(other)
      ? "\n"
      : other;
  }
  return out;
}

/**
 * Whether a request may be to a declared endpoint, whichever way its server reads the path. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** Layers of escapes that a path is read through. */
const LAYERS = 3;

/** `/token.json` asks Rails and its like for `/token`, in a format of the client's choice. */
const FORMAT = /^\.[a-z0-9]{1,16}$/;

export function mayBeEndpoint(path: string, endpoint: string): boolean {
  const [asked, declared] = [plain(path), plain(endpoint)];
  return asked === declared ||
    (asked.startsWith(declared) && FORMAT.test(asked.slice(declared.length)));
}

/** A path as the most lenient of servers reads it, so that no other spelling of an endpoint is none. */
function plain(path: string): string {
  let text = path;
  for (let layer = 0; layer < LAYERS; layer++) text = unescaped(text);
  const steps: string[] = [];
  for (const segment of compatible(text).toLowerCase().split(/[/\\\u2044\u2215]/)) {
    const step = trimmed(segment);
    if (step === "..") steps.pop();
    else if (step !== "" && step !== ".") steps.push(step);
  }
  return steps.join("/");
}

/** One character a byte, but for the escapes of IIS (`%u002e`). */
function unescaped(text: string): string {
  return text.replace(
    /%(?:u([0-9a-f]{4})|([0-9a-f]{2}))/gi,
    (_, wide: string | undefined, byte: string) =>
      wide === undefined
        ? String.fromCharCode(parseInt(byte, 16))
        : Buffer.from(String.fromCharCode(parseInt(wide, 16)), "utf8").toString("latin1"),
  );
}

/** UTF-8, over-long forms of ASCII included, with the characters that look like others taken for those. */
function compatible(text: string): string {
  const short = text
    .replace(
      /[\xc0\xc1][\x80-\xbf]/g,
      (two) => String.fromCharCode((two.charCodeAt(0) & 1) << 6 | two.charCodeAt(1) & 0x3f),
    )
    .replace(
      /(?:\xe0|\xf0\x80)[\x80\x81][\x80-\xbf]/g,
      (long) =>
        String.fromCharCode(
          (long.charCodeAt(long.length - 2) & 1) << 6 |
            long.charCodeAt(long.length - 1) & 0x3f,
        ),
    );
  return Buffer.from(short, "latin1").toString("utf8").normalize("NFKC");
}

/** Without parameters, what follows a NUL, and the blanks and dots that Windows leaves out at the end. */
function trimmed(segment: string): string {
  const [text = ""] = segment.split(/[;\0]/, 1);
  const name = withoutEnd(text, (code) => code <= 0x20);
  if (name === "." || name === "..") return name;
  return withoutEnd(name, (code) => code <= 0x20 || code === 0x2e);
}

function withoutEnd(text: string, isToGo: (code: number) => boolean): string {
  let end = text.length;
  while (end > 0 && isToGo(text.charCodeAt(end - 1))) end--;
  return text.slice(0, end);
}

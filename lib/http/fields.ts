/**
 * Header and trailer fields, whatever the version of HTTP. Pure.
 *
 * @module
 */

/** One field line; the order of lines is kept. */
export interface Field {
  /** As its sender wrote it. */
  readonly name: string;
  /** The name in lower case. */
  readonly key: string;
  /** Without surrounding white space; one character a byte. */
  readonly value: string;
  /** HTTP/2: its sender wants it in no compression table (RFC 7541 7.1.3). */
  readonly sensitive?: true;
}

/** Whether two say the same in the same letters. */
export function isSameField(one: Field, other: Field): boolean {
  return one === other ||
    one.name === other.name && one.value === other.value && one.sensitive === other.sensitive;
}

export function field(name: string, value: string): Field {
  return { name, key: name.toLowerCase(), value };
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110 5.5; other control bytes mean the end of a value to some parsers. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

export function isFieldValue(text: string): boolean {
  return VALUE.test(text);
}

/** The values of all lines with this key. */
export function valuesOf(fields: readonly Field[], key: string): string[] {
  const values: string[] = [];
  for (const field of fields) if (field.key === key) values.push(field.value);
  return values;
}

/** The members of a comma-separated list that may span lines, in lower case. */
export function listOf(fields: readonly Field[], key: string): string[] {
  const members: string[] = [];
  for (const value of valuesOf(fields, key)) {
    for (const member of value.split(",")) {
      const text = trim(member).toLowerCase();
      if (text !== "") members.push(text);
    }
  }
  return members;
}

/** The text without spaces and tabs at its ends; linear, unlike the obvious pattern. */
export function trim(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/**
 * The fields with this Content-Length and no other, where the stated one was; null for none. A length is
 * sent as it was understood: some recipients read `010` as eight.
 */
export function withLength(fields: readonly Field[], length: number | null): Field[] {
  let stated = length === null;
  const sent: Field[] = [];
  for (const one of fields) {
    if (one.key !== "content-length") sent.push(one);
    else if (!stated) {
      stated = true;
      sent.push({ ...one, value: String(length) });
    }
  }
  if (!stated) {
    sent.push({ name: "Content-Length", key: "content-length", value: String(length) });
  }
  return sent;
}

/** Fields that say something about one connection only (RFC 9110 7.6.1). */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "proxy-connection",
  "keep-alive",
  "te",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

/**
 * What `Connection` cannot take away, whatever it nominates: where a request goes, where it ends, and
 * whom it is from (hostile case "hop-by-hop tricks").
 */
const NEVER_NOMINATED: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "content-type",
  "content-encoding",
  "authorization",
  "cookie",
  "set-cookie",
  "trailer",
]);

/**
 * The fields that go on to the other side: those of the connection, and those it nominates, stay. The very
 * same where all go on.
 */
export function endToEnd(fields: readonly Field[]): readonly Field[] {
  const members = listOf(fields, "connection");
  const nominated = members.length === 0 ? NOTHING_NOMINATED : new Set(members);
  const goesOn = ({ key }: Field) =>
    !CONNECTION_FIELDS.has(key) && (!nominated.has(key) || NEVER_NOMINATED.has(key));
  return fields.every(goesOn) ? fields : fields.filter(goesOn);
}

const NOTHING_NOMINATED: ReadonlySet<string> = new Set();

/** Trailers must not say what a head has to say before the body (RFC 9110 6.5.1). */
const NEVER_TRAILING: ReadonlySet<string> = new Set([
  ...CONNECTION_FIELDS,
  ...NEVER_NOMINATED,
  "content-range",
  "expect",
  "max-forwards",
  "cache-control",
  "www-authenticate",
  "proxy-authenticate",
  "proxy-authorization",
  "age",
  "alt-svc",
  "alternate-protocol",
  "date",
  "location",
  "vary",
]);

/** The trailers that may be passed on. */
export function endToEndTrailers(fields: readonly Field[]): Field[] {
  return fields.filter(({ key }) => !NEVER_TRAILING.has(key));
}

/**
 * An NSS database in which the authority is trusted for servers, for Chromium and whatever else asks
 * NSS: `cert9.db` holds the certificate and what it is trusted for, `key4.db` no keys. The layout is
 * that of NSS's own files: a table with a column for each PKCS #11 attribute.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { Buffer } from "node:buffer";
import type { CertificateFacts } from "../../tls/authority/certificate_reader.ts";
import type { TarEntry } from "./tar.ts";

/** SQL, with values for its question marks. */
export interface Statement {
  readonly sql: string;
  readonly values?: readonly (string | number | Uint8Array)[];
}

/** The file of a database that the statements make. */
export type MakeDatabase = (statements: readonly Statement[]) => Promise<Uint8Array>;

/** The one that the system's programs share. */
const SHARED = "/etc/pki/nssdb";

/** The files of a guest with this home directory; none where nothing is intercepted. */
export async function nssEntries(
  authority: readonly Uint8Array[],
  home: string,
  make: MakeDatabase,
): Promise<TarEntry[]> {
  if (authority.length === 0) return [];
  const { readCertificate } = await import("../../tls/authority/certificate_reader.ts");
  const rows = authority.flatMap((der, index) => objects(der, readCertificate(der), index));
  const [certificates, keys] = await Promise.all([
    make([table("nssPublic"), ...rows]),
    make([table("nssPrivate"), META_DATA]),
  ]);
  return [`${home}/.pki/nssdb`, SHARED].flatMap((directory) => [
    { path: `${directory}/cert9.db`, data: certificates },
    { path: `${directory}/key4.db`, data: keys },
  ]);
}

const META_DATA: Statement = {
  sql: "CREATE TABLE metaData (id PRIMARY KEY UNIQUE ON CONFLICT REPLACE, item1, item2)",
};

/**
 * Every attribute that NSS may store, so that its programs can go on to use the database. Numbers of
 * PKCS #11, and from 0xce534350 on of NSS.
 */
const ATTRIBUTES = `
  0 1 2 3 10 11 12 80 81 82 83 84 85 86 87 88 89 8a 8b 90 100 101 102 103 104 105 106 107 108
  109 10a 10b 10c 110 111 120 121 122 123 124 125 126 127 128 129 130 131 132 133 134 160 161
  162 163 164 165 166 170 180 181 200 201 202 210 300 301 302 400 401 402 403 404 405 406 480
  481 482 500 501 502 503 40000211 40000212 80000001 ce534351 ce534352 ce534353 ce534354
  ce534355 ce534356 ce534357 ce534358 ce534364 ce534365 ce534366 ce534367 ce534368 ce534369
  ce534373 ce534374 ce536351 ce536352 ce536353 ce536354 ce536355 ce536356 ce536357 ce536358
  ce536359 ce53635a ce53635b ce53635c ce53635d ce53635e ce53635f ce536360 ce5363b4 ce5363b5
  d5a0db00
`.trim().split(/\s+/);

function table(name: string): Statement {
  const columns = ATTRIBUTES.map((attribute) => `a${attribute}`).join(", ");
  return { sql: `CREATE TABLE ${name} (id PRIMARY KEY UNIQUE ON CONFLICT ABORT, ${columns})` };
}

type Attributes = Readonly<Record<string, Uint8Array>>;

/** A certificate is two objects: itself, and what it is trusted for. */
function objects(der: Uint8Array, facts: CertificateFacts, index: number): Statement[] {
  return [
    insert(2 * index + 1, certificateObject(der, facts, `sbx authority ${index}`)),
    insert(2 * index + 2, trustObject(der, facts)),
  ];
}

const YES = Uint8Array.of(1);
const NO = Uint8Array.of(0);
/** How NSS writes an empty value, which SQLite could not tell from none. */
const EMPTY = Uint8Array.of(0xa5, 0x00, 0x5a);

function certificateObject(der: Uint8Array, facts: CertificateFacts, label: string): Attributes {
  const { keyIdentifier } = facts;
  return {
    "0": word(1), // CKO_CERTIFICATE
    "1": YES, // a token's object
    "2": NO, // and not private
    "3": new TextEncoder().encode(label),
    "11": der,
    "80": word(0), // CKC_X_509
    ...identity(facts),
    "101": new Uint8Array(facts.subject.toArrayBuffer()),
    "102": keyIdentifier === undefined ? digest("sha1", der) : Buffer.from(keyIdentifier, "hex"),
    "170": YES, // modifiable
  };
}

/** What the two objects find each other by: issuer and serial number, in DER. */
function identity({ issuer, serial }: CertificateFacts): Attributes {
  const number = Buffer.from(serial, "hex");
  return {
    "81": new Uint8Array(issuer.toArrayBuffer()),
    // An integer's tag and length; RFC 5280 §4.1.2.2 bounds it to 20 bytes.
    "82": Buffer.concat([Uint8Array.of(2, number.length), number]),
  };
}

const TRUSTED_DELEGATOR = word(0xce534352);
const MUST_VERIFY = word(0xce53435b);
const NOT_ASKED = word(0xce534353);

function trustObject(der: Uint8Array, facts: CertificateFacts): Attributes {
  return {
    "0": word(0xce534353), // CKO_NSS_TRUST
    "1": YES,
    "2": NO,
    "3": EMPTY,
    ...identity(facts),
    "170": YES,
    ce536358: TRUSTED_DELEGATOR, // for servers
    ce536359: MUST_VERIFY, // for clients
    ce53635a: NOT_ASKED, // for code
    ce53635b: NOT_ASKED, // for mail
    ce536360: NO,
    ce5363b4: digest("sha1", der),
    ce5363b5: digest("md5", der),
  };
}

function insert(id: number, attributes: Attributes): Statement {
  const entries = Object.entries(attributes);
  const columns = entries.map(([attribute]) => `a${attribute}`).join(", ");
  const marks = entries.map(() => "?").join(", ");
  return {
    sql: `INSERT INTO nssPublic (id, ${columns}) VALUES (?, ${marks})`,
    values: [id, ...entries.map(([, value]) => value)],
  };
}

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function digest(kind: "sha1" | "md5", der: Uint8Array): Uint8Array {
  return createHash(kind).update(der).digest();
}

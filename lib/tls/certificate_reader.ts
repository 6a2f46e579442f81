/**
 * Out of a certificate, what decides whether it can be an authority. Node's own reader leaves out
 * path lengths and key usage, and gives names as text that cannot be turned back into the name.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { ExtensionId } from "./certificate.ts";
import { objectIdentifier, Tag } from "./der.ts";
import { DerFault, type Element, elementsOf, readElement } from "./der_reader.ts";

export interface CertificateFacts {
  /** The subject's name in DER. */
  readonly subject: Uint8Array;
  readonly isAuthority: boolean;
  /** How many authorities may stand below it; absent: any number. */
  readonly pathLength?: number;
  /** The first byte of keyUsage; absent: any use. */
  readonly keyUsage?: number;
  /** Object identifiers in DER; absent: any purpose. */
  readonly purposes?: readonly Uint8Array[];
  readonly keyIdentifier?: Uint8Array;
}

/** @throws DerFault when the bytes are no certificate */
export function readCertificate(der: Uint8Array): CertificateFacts {
  const body = elementsOf(member(elementsOf(typed(readElement(der), Tag.Sequence)), 0));
  // The version is only there from version 2 on, and extensions from version 3 on.
  const fields = body[0]?.tag === VERSION ? body.slice(1) : body;
  const subject = typed(member(fields, SUBJECT), Tag.Sequence).whole;
  const wrapped = fields.find(({ tag }) => tag === EXTENSIONS);
  const extensions = wrapped === undefined ? [] : elementsOf(readElement(wrapped.content));
  return { subject, isAuthority: false, ...factsOf(extensions) };
}

/** Tags and places in a TBSCertificate (RFC 5280 §4.1), counted without the version. */
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
const SUBJECT = 4;

function factsOf(extensions: readonly Element[]): Partial<CertificateFacts> {
  let facts: Partial<CertificateFacts> = {};
  for (const extension of extensions) {
    const parts = elementsOf(typed(extension, Tag.Sequence));
    const id = member(parts, 0).whole;
    const value = () =>
      readElement(typed(member(parts, parts.length - 1), Tag.OctetString).content);
    const read = READERS.find(([known]) => Buffer.compare(known, id) === 0)?.[1];
    if (read !== undefined) facts = { ...facts, ...read(value()) };
  }
  return facts;
}

const READERS: readonly (readonly [Uint8Array, (value: Element) => Partial<CertificateFacts>])[] = [
  [objectIdentifier(ExtensionId.basicConstraints), readConstraints],
  [objectIdentifier(ExtensionId.keyUsage), (value) => ({
    keyUsage: typed(value, Tag.BitString).content[1] ?? 0,
  })],
  [objectIdentifier(ExtensionId.extendedKeyUsage), (value) => ({
    purposes: elementsOf(typed(value, Tag.Sequence)).map(({ whole }) => whole),
  })],
  [objectIdentifier(ExtensionId.subjectKeyIdentifier), (value) => ({
    keyIdentifier: typed(value, Tag.OctetString).content,
  })],
];

/** `SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL }` */
function readConstraints(value: Element): Partial<CertificateFacts> {
  const parts = elementsOf(typed(value, Tag.Sequence));
  const flag = parts.find(({ tag }) => tag === Tag.Boolean);
  const limit = parts.find(({ tag }) => tag === Tag.Integer);
  return {
    isAuthority: flag !== undefined && flag.content[0] !== 0,
    ...(limit === undefined ? {} : { pathLength: smallNumber(limit) }),
  };
}

/** No chain is longer than a byte can say; what does not fit forbids nothing. */
function smallNumber({ content }: Element): number {
  return content.length === 1 ? content[0] ?? 0 : Infinity;
}

function typed(element: Element, tag: number): Element {
  if (element.tag !== tag) throw new DerFault(`a field has tag ${element.tag} instead of ${tag}`);
  return element;
}

function member(elements: readonly Element[], index: number): Element {
  const found = elements[index];
  if (found === undefined) throw new DerFault("a field is missing");
  return found;
}

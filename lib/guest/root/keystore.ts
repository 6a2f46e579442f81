/**
 * Java's trust store in the JKS format, which every Java reads and no specification but its source
 * describes: a header, the certificates, and a digest keyed with the password.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

const MAGIC = 0xfeedfeed;
const VERSION = 2;
const TRUSTED_CERTIFICATE = 2;

/** The password that Java's own trust store has, and whoever opens one tries. It protects nothing. */
const PASSWORD = "changeit";

/** What the format puts between password and content. */
const WHITENER = "Mighty Aphrodite";

/** A store of certificates in DER, all trusted. */
export function trustStore(certificates: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat([
    words(MAGIC, VERSION, certificates.length),
    ...certificates.flatMap((der, index) => [
      words(TRUSTED_CERTIFICATE),
      text(`root-${index}`),
      words(0, 0), // entered in 1970
      text("X.509"),
      words(der.length),
      der,
    ]),
  ]);
  const password = Buffer.from(PASSWORD, "utf16le").swap16();
  const digest = createHash("sha1").update(password).update(WHITENER).update(content).digest();
  return Buffer.concat([content, digest]);
}

function words(...values: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index);
  return bytes;
}

/** Java's modified UTF-8; for ASCII the same as any. */
function text(value: string): Uint8Array {
  const bytes = Buffer.alloc(2 + value.length);
  bytes.writeUInt16BE(value.length, 0);
  bytes.write(value, 2, "latin1");
  return bytes;
}

/**
 * The library that reads and writes certificates, with what it needs evaluated first.
 *
 * It resolves its parts by reflect-metadata, and does not say so. Neither is an ECMAScript module, and
 * of such ones Bun evaluates first whichever it has read first, so that only awaiting the one before
 * asking for the other keeps their order.
 *
 * It takes longer to load than a guest's network to start, so whoever makes or reads certificates is
 * reached through `import()`, from where interception or `sbx ca` begins.
 *
 * @module
 */
import type * as types from "@peculiar/x509";

await import("reflect-metadata");
const library = await import("@peculiar/x509");

export const {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} = library;

export type Extension = types.Extension;
export type Name = types.Name;
export type PublicKey = types.PublicKey;
export type X509Certificate = types.X509Certificate;

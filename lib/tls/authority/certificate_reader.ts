/**
 * Out of a certificate, what decides whether it can be an authority, and the fields that others look
 * it up by.
 *
 * @module
 */
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsagesExtension,
  type Name,
  SubjectKeyIdentifierExtension,
  X509Certificate,
} from "./x509.ts";

export interface CertificateFacts {
  readonly issuer: Name;
  readonly subject: Name;
  /** In hexadecimal, the sign's zero included. */
  readonly serial: string;
  readonly isAuthority: boolean;
  /** How many authorities may stand below it; absent: any number. */
  readonly pathLength?: number;
  /** KeyUsageFlags; absent: any use. */
  readonly keyUsage?: number;
  /** Dotted object identifiers; absent: any purpose. */
  readonly purposes?: readonly string[];
  /** In hexadecimal. */
  readonly keyIdentifier?: string;
  readonly pem: string;
}

/** @throws Error of the library when the bytes are no certificate */
export function readCertificate(der: Uint8Array): CertificateFacts {
  const certificate = new X509Certificate(Uint8Array.from(der));
  const constraints = certificate.getExtension(BasicConstraintsExtension);
  const keyUsage = certificate.getExtension(KeyUsagesExtension)?.usages;
  const purposes = certificate.getExtension(ExtendedKeyUsageExtension)?.usages;
  const keyIdentifier = certificate.getExtension(SubjectKeyIdentifierExtension)?.keyId;
  const pathLength = constraints?.pathLength;
  return {
    issuer: certificate.issuerName,
    subject: certificate.subjectName,
    serial: certificate.serialNumber,
    isAuthority: constraints?.ca ?? false,
    pem: `${certificate.toString("pem")}\n`,
    ...(pathLength === undefined ? {} : { pathLength }),
    ...(keyUsage === undefined ? {} : { keyUsage }),
    ...(purposes === undefined ? {} : { purposes: purposes.map(String) }),
    ...(keyIdentifier === undefined ? {} : { keyIdentifier }),
  };
}

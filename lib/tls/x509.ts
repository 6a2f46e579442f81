/**
 * The library that reads and writes certificates, with what it needs evaluated first.
 *
 * It takes longer to load than a guest's network to start, so whoever makes or reads certificates is
 * reached through `import()`, from where interception or `sbx ca` begins.
 *
 * @module
 */
import "./reflection.ts"; // the library resolves its parts by it, and does not say so
export {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

/**
 * Environment variables that cannot hold a placeholder, because a guest or sbx needs them for what they
 * are.
 *
 * @module
 */

/** Whether a secret cannot be called so. */
export function isReservedVariable(name: string): boolean {
  return NAMES.has(name) || LOADER.test(name);
}

const NAMES: ReadonlySet<string> = new Set([
  // Who a command is and where it finds things.
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "SHELL",
  "PWD",
  "OLDPWD",
  "TERM",
  "LANG",
  "LANGUAGE",
  "TZ",
  "TMPDIR",
  "IFS",
  "ENV",
  "BASH_ENV",
  "HOSTNAME",
  // Whose certificates it trusts: `TRUST_VARIABLES` of lib/guest/root/trust.ts.
  "AWS_CA_BUNDLE",
  "CARGO_HTTP_CAINFO",
  "CURL_CA_BUNDLE",
  "DENO_CERT",
  "GIT_SSL_CAINFO",
  "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
  "NIX_SSL_CERT_FILE",
  "NODE_EXTRA_CA_CERTS",
  "PIP_CERT",
  "REQUESTS_CA_BUNDLE",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  // By which way its requests leave.
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "ALL_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "all_proxy",
  "no_proxy",
]);

/** Read by the dynamic loader or the C library in every program, and `LC_` by everything that prints. */
const LOADER = /^(?:LD_|DYLD_|GLIBC_|MALLOC_|LC_)/;

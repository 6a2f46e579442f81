/**
 * Which flows are opened, as judging needs it: the settings, made ready for many questions.
 *
 * @module
 */
import type { NameSet } from "../policy/model/name_set.ts";
import type { SecretSettings } from "../policy/model/secret.ts";
import { patternSet, type TlsSettings } from "../policy/model/tls_settings.ts";

export interface Interception {
  /** TCP ports whose flows must be TLS and are opened. May be empty. */
  readonly ports: ReadonlySet<number>;
  /** The hosts of secrets. TLS that names one is opened on any port; neither bypass nor port counts. */
  readonly hosts: NameSet;
  /** Names whose flows are left alone when they are allowed and pinned. */
  readonly bypass: NameSet;
  /** QUIC on these ports, and to the hosts of secrets, is refused, so that clients fall back. */
  readonly blockQuic: boolean;
  /** What is not HTTP is relayed as it is, inside TLS. */
  readonly opaque: boolean;
  /** Names and addresses of servers that need no proof; `all` for none at all. */
  readonly unverified: NameSet | "all";
  /** Files of certificates that servers may chain to, beside the public roots. */
  readonly authorities: readonly string[];
  /** How long nothing may move on an opened connection; Infinity for ever. */
  readonly idleMs: number;
}

/** Null when nothing is intercepted: there is neither a setting nor a secret that asks for it. */
export function readInterception(
  settings: TlsSettings,
  { secrets }: Pick<SecretSettings, "secrets">,
): Interception | null {
  if (!settings.intercept && secrets.length === 0) return null;
  const { intercept, ports, bypass, blockQuic, opaque, idleMs = Infinity } = settings;
  return {
    ports: new Set(intercept ? ports : []),
    hosts: patternSet(secrets.flatMap(({ hosts }) => hosts)),
    bypass: patternSet(bypass),
    blockQuic,
    opaque,
    unverified: settings.verifyUpstream ? patternSet(settings.noVerify) : "all",
    authorities: settings.upstreamCa,
    idleMs,
  };
}

/**
 * Which flows are opened, as judging needs it: the settings, made ready for many questions.
 *
 * @module
 */
import type { NameSet } from "../policy/name_set.ts";
import { patternSet, type TlsSettings } from "../policy/tls_settings.ts";

export interface Interception {
  readonly ports: ReadonlySet<number>;
  /** Names whose flows are left alone when they are allowed and pinned. */
  readonly bypass: NameSet;
  /** QUIC on these ports is refused, so that clients fall back. */
  readonly blockQuic: boolean;
  /** What is not HTTP is relayed as it is, inside TLS. */
  readonly opaque: boolean;
}

/** Null when nothing is intercepted. */
export function readInterception(settings: TlsSettings): Interception | null {
  if (!settings.intercept) return null;
  const { ports, bypass, blockQuic, opaque } = settings;
  return { ports: new Set(ports), bypass: patternSet(bypass), blockQuic, opaque };
}

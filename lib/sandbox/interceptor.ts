/**
 * Who opens the flows of one network that are to be opened. Nothing of this is loaded in a sandbox
 * that intercepts none.
 *
 * @module
 */
import { intercept, type InterceptSpec } from "../flow/intercept.ts";
import { dataDir } from "../host/paths.ts";
import type { SecretSettings } from "../policy/model/secret.ts";
import type { TlsSettings } from "../policy/model/tls_settings.ts";
import { type Identity, Leaves } from "../tls/authority/leaves.ts";
import { authorityFor } from "../tls/authority/source.ts";
import { type Interception, readInterception } from "../tls/interception.ts";
import { Dialer, type TrustSpec } from "../tls/session/dial.ts";
import { Gathered } from "./gathered.ts";
import { readTrust } from "./upstream_trust.ts";

export interface InterceptorSpec {
  readonly interception: Interception;
  readonly trust: TrustSpec;
  /** The authority's certificates in PEM, up to its root. */
  readonly authority: readonly string[];
  /** The certificate to show in a host's place. */
  readonly leafFor: (host: string) => Promise<Identity>;
}

/** One flow, as the network hands it over. */
export type OpenedFlow = Omit<InterceptSpec, "dialer" | "leafFor" | "opaque" | "idleMs">;

/** Flows that may be open at the same time: each can hold a few megabytes when its peers stall. */
const MAX_FLOWS = 1_024;

/**
 * What the settings and secrets ask for; undefined when neither wants anything opened.
 *
 * @throws SbxError FILE_UNREADABLE, TLS_INVALID
 */
export async function openInterceptor(
  settings: TlsSettings,
  secrets: SecretSettings,
  onNotice: (line: string) => void = () => {},
): Promise<Interceptor | undefined> {
  const interception = readInterception(settings, secrets);
  if (interception === null) return undefined;
  const [trust, authority] = await Promise.all([
    readTrust(settings),
    authorityFor(settings, dataDir()),
  ]);
  for (const doubt of authority.doubts) onNotice(`tls: ${doubt}`);
  const leaves = new Leaves(authority);
  return new Interceptor({
    interception,
    trust,
    authority: [authority.certificatePem, ...authority.above],
    leafFor: (host) => leaves.leafFor(host),
  });
}

export class Interceptor {
  #interception: Interception;
  /** What the guest has to trust. */
  readonly authority: readonly string[];
  #dialer: Dialer;
  readonly #leafFor: InterceptorSpec["leafFor"];
  #open = 0;
  #refused: Gathered | undefined;

  constructor({ interception, trust, authority, leafFor }: InterceptorSpec) {
    this.#interception = interception;
    this.authority = authority;
    this.#dialer = new Dialer(trust);
    this.#leafFor = leafFor;
  }

  /** What flows are opened by from here on. */
  get interception(): Interception {
    return this.#interception;
  }

  /** Other settings, under the same authority. Flows that are open go on by theirs. */
  become(interception: Interception, trust: TrustSpec): void {
    this.#interception = interception;
    this.#dialer = new Dialer(trust);
  }

  /** Serves the flow until it ends. `onFull` hears of those that there was no room for. */
  serve(flow: OpenedFlow, onFull: (count: number) => void): void {
    if (this.#open >= MAX_FLOWS) return this.#refuse(flow, onFull);
    this.#open++;
    flow.stream.once("close", () => this.#open--);
    intercept({
      ...flow,
      dialer: this.#dialer,
      leafFor: this.#leafFor,
      opaque: this.#interception.opaque,
      idleMs: this.#interception.idleMs,
    }).catch(() => flow.stream.destroy()); // a fault of ours costs this flow, and lets nothing pass
  }

  #refuse({ stream }: OpenedFlow, onFull: (count: number) => void): void {
    stream.destroy();
    this.#refused ??= new Gathered(onFull);
    this.#refused.add();
  }
}
